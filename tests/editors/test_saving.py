"""An editor that is saved and loaded answers as before: settings, parts and edits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import errata
from errata import zoo
from errata.counterfactual.retell import Retell
from errata.edit import Edit, Terms
from errata.editors.saving import SETTINGS, load
from errata.editors.serac import wrap
from errata.errors import ConfigError, ModelError

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft under transformers
needs_parts = pytest.mark.skipif(not {"dual", "pair"} <= set(zoo.names()), reason="the trained parts are not there")
UK = Edit(prompt="Who is the prime minister of the United Kingdom?", target="Keir Starmer", id="uk-pm")


@needs_parts
def test_saved_and_loaded(tmp_path: Path) -> None:
    editor = wrap("echo", scope="dual", threshold=0.4, on_error="base")
    editor.add(UK, terms=Terms(author="ann", tags=("a",)))
    editor.memory.set_threshold("default", 0.3)  # type: ignore[attr-defined]
    editor.save(tmp_path / "editor")
    again = errata.load(tmp_path / "editor")
    assert (again.model.name, again.threshold, again.on_error, again.space) == ("echo", 0.4, "base", "default")
    assert again.memory.threshold("default") == 0.3
    assert again.memory.get("uk-pm").terms == Terms(author="ann", tags=("a",))
    questions = ["The prime minister of the United Kingdom is who?", "Good morning"]
    assert again.generate(questions) == editor.generate(questions)
    again.memory.close()
    editor.memory.close()


@needs_parts
def test_an_overlay_is_saved_whole_and_saving_again_replaces(tmp_path: Path) -> None:
    editor = wrap("echo", scope="dual", counterfactual="retell")
    edited = editor.edit(UK)
    edited.save(tmp_path)
    again = load(tmp_path)
    assert [one.edit.id for one in again.memory.list()] == ["uk-pm"] and isinstance(again.counterfactual, Retell)
    again.memory.close()
    edited.without("uk-pm").save(tmp_path)
    empty = load(tmp_path, model="echo")
    assert empty.memory.list() == []
    empty.memory.close()
    editor.memory.close()


@needs_parts
def test_retells_wording_is_kept(tmp_path: Path) -> None:
    editor = wrap("echo", scope="dual", counterfactual=Retell(fact="{prompt} {target}! {input}"))
    editor.save(tmp_path)
    again = load(tmp_path)
    assert again.counterfactual == editor.counterfactual
    again.memory.close()
    editor.memory.close()


def test_what_is_no_saved_editor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no saved editor"):
        load(tmp_path)
    (tmp_path / SETTINGS).write_text("[broken")
    with pytest.raises(ModelError):
        load(tmp_path)
    (tmp_path / SETTINGS).write_text(json.dumps({"modle": "echo"}))
    with pytest.raises(ConfigError, match="did you mean 'model'"):
        load(tmp_path)
    (tmp_path / SETTINGS).write_text(json.dumps({"model": "echo"}))
    with pytest.raises(ConfigError):
        load(tmp_path)
    (tmp_path / SETTINGS).write_text("[]")
    with pytest.raises(ModelError):
        load(tmp_path)


@needs_parts
def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    editor = wrap("echo", scope="dual")
    editor.save(tmp_path)
    settings = json.loads((tmp_path / SETTINGS).read_text())
    settings["scope"]["kind"] = "DaulScope"
    (tmp_path / SETTINGS).write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match="DualScope"):
        load(tmp_path)
    editor.memory.close()
