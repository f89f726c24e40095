"""The public surface: a sorted list of names that resolve, cheap to import, and the parts that ship."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import errata
from errata import errors, zoo

SOURCE = Path(errata.__file__).parent.parent
HEAVY = {
    "torch",
    "transformers",
    "onnxruntime",
    "onnx",
    "peft",
    "accelerate",
    "numpy",
    "usearch",
    "httpx2",
    "rich",
}


def loaded_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after a statement."""
    code = f"import json, sys; {statement}; print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    path = os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


def test_importing_errata_loads_nothing_heavy() -> None:
    assert loaded_after("import errata") & HEAVY == set()


def test_listing_the_names_and_the_zoo_loads_nothing_heavy() -> None:
    assert loaded_after("import errata, errata.zoo; dir(errata); errata.zoo.names()") & HEAVY == set()


def test_the_names_are_sorted_and_told_once() -> None:
    assert errata.__all__ == sorted(set(errata.__all__))


def test_the_names_are_complete() -> None:
    defined = {name for name in vars(errata) if not name.startswith("_")}
    modules = {name for name in defined if type(getattr(errata, name)).__name__ == "module"}
    helpers = {"annotations", "import_module", "TYPE_CHECKING", "Any"}
    assert defined - modules - helpers <= set(errata.__all__)
    assert set(errata._LATE) <= set(errata.__all__) <= set(dir(errata))


@pytest.mark.parametrize("name", errata.__all__)
def test_every_name_resolves(name: str) -> None:
    value = getattr(errata, name)
    assert value is not None
    assert getattr(errata, name) is value


def test_every_error_is_public() -> None:
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert kinds <= set(errata.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'edits'"):
        _ = errata.edits


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo with one part, and a folder that is none."""
    (tmp_path / "dual").mkdir()
    (tmp_path / "dual" / "config.json").write_text("{}")
    (tmp_path / "__pycache__").mkdir()
    monkeypatch.setattr(zoo, "_HERE", tmp_path)
    return tmp_path


def test_the_zoo_lists_and_finds_its_parts(shelf: Path) -> None:
    assert zoo.names() == ["dual"]
    assert zoo.path("dual") == shelf / "dual"


@pytest.mark.parametrize("name", ["mini", "__pycache__", "..", "", "dual/"])
def test_a_part_that_is_missing_is_named_with_its_remedy(shelf: Path, name: str) -> None:
    with pytest.raises(errata.ModelError, match=r"there are: dual\); make it with: errata train base"):
        zoo.path(name)


def test_an_empty_zoo_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "_HERE", tmp_path)
    with pytest.raises(errata.ModelError, match=r"there are: none\); make it with: errata train scope"):
        zoo.path("dual")


def test_every_shipped_part_has_a_card() -> None:
    assert [name for name in zoo.names() if not (zoo.path(name) / "README.md").is_file()] == []
