"""load_model: which model a name means."""

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

import tiny
from errata.errors import ConfigError, ModelError
from errata.models.echo import EchoModel
from errata.models.load import load_model
from errata.models.local import LocalModel
from errata.models.remote import RemoteModel


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A stand-in for errata.zoo, whose path() a test sets."""
    module = types.ModuleType("errata.zoo")
    monkeypatch.setitem(sys.modules, "errata.zoo", module)
    yield module


def test_echo_is_the_fake() -> None:
    model = load_model("echo", default="yes")
    assert isinstance(model, EchoModel)
    assert model.generate(["a"]) == ["yes"]


@pytest.mark.parametrize("url", ["http://localhost:1/v1", "https://example.org"])
def test_a_url_is_a_remote_model(url: str) -> None:
    model = load_model(url, model="m")
    assert isinstance(model, RemoteModel)
    assert model.name == "m"


def test_a_folder_is_a_local_model_named_by_its_last_part(tmp_path: Path) -> None:
    model = load_model(str(tiny.tiny_t5(tmp_path / "my-t5")), max_new_tokens=2)
    assert isinstance(model, LocalModel)
    assert (model.name, model.kind) == ("my-t5", "seq2seq")


def test_mini_is_the_zoos(zoo: types.ModuleType, tmp_path: Path) -> None:
    zoo.path = lambda name: tiny.tiny_t5(tmp_path / name)  # type: ignore[attr-defined]
    assert load_model("mini").name == "mini"


@pytest.mark.parametrize("error", [FileNotFoundError(), KeyError("mini"), ModelError("no weights")])
def test_mini_without_weights_says_how_to_train_it(zoo: types.ModuleType, error: Exception) -> None:
    def path(name: str) -> Path:
        raise error

    zoo.path = path  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="errata train base"):
        load_model("mini")


def test_mini_in_an_empty_folder_says_how_to_train_it(zoo: types.ModuleType, tmp_path: Path) -> None:
    zoo.path = lambda name: tmp_path  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="errata train base"):
        load_model("mini")


@pytest.mark.parametrize("name", ["", "  ", None, 3])
def test_an_empty_name_is_refused(name: object) -> None:
    with pytest.raises(ConfigError, match="needs a name"):
        load_model(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["ftp://example.org/m", "file:///etc/passwd"])
def test_other_kinds_of_url_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="http"):
        load_model(name)


@pytest.mark.parametrize(
    ("name", "option", "near"),
    [("echo", "defualt", "default"), ("http://h", "time_out", "timeout"), ("./x", "devise", "device")],
)
def test_an_option_of_no_such_model_is_refused(name: str, option: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{near}'"):
        load_model(name, **{option: "a"})
