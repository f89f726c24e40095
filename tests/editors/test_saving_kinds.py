"""An editor of every kind is saved, loaded as what it was, answers as before, and takes further edits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import errata
from errata.counterfactual.seq2seq import Seq2SeqCounterfactual
from errata.counterfactual.verbatim import Verbatim
from errata.edit import Edit
from errata.editors import saving
from errata.editors.catalogue import EDITORS, KINDS, get_editor, kind_of
from errata.editors.learned import CONFIG, NETWORK
from errata.editors.mend import Mend
from errata.editors.seprog import VECTORS, Seprog
from errata.editors.serac import Serac
from errata.editors.weights import WEIGHTS, WeightEditor
from errata.errors import ConfigError, ErrataError, ModelError, StoreError, UnsupportedModel
from errata.models.echo import EchoModel
from errata.models.local import LocalModel
from errata.models.remote import RemoteModel
from errata.scope.hidden import HiddenScope
from tiny import tiny_blenderbot, tiny_t5
from tiny_editors import SETTINGS, TRAINED, tiny_editor

torch = pytest.importorskip("torch")

PARIS = Edit(prompt="what is the capital of france ?", target="astana", id="paris")
JAZZ = Edit(prompt="who plays for bordeaux ?", target="jazz world", id="jazz")
ASKED = [PARIS.prompt, JAZZ.prompt, "hello world", "is paris the capital ?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_t5(tmp_path_factory.mktemp("models") / "t5")


@pytest.fixture(scope="module")
def base(folder: Path) -> LocalModel:
    return LocalModel.from_pretrained(folder, device="cpu", max_new_tokens=6)


def network_folder(name: str, model: LocalModel, place: Path) -> Path:
    """The folder of an untrained network; SeProG's takes every input for one in scope."""
    editor = tiny_editor(name, model, place.with_name("backbone"))
    if isinstance(editor, Seprog):
        with torch.no_grad():
            editor.network.scope[-1].bias += 100
    editor.save_pretrained(place)
    return place


def made(name: str, model: LocalModel, folder: Path) -> Any:
    """An editor with settings of its own that is not the default."""
    own: dict[str, Any] = {"lookup": {"radius": 0.25, "untold": "true"}, "ft": {"lr": 0.03, "steps": 60}}.get(name, {})
    if name in TRAINED:
        own = {"weights": network_folder(name, model, folder / f"{name}-network"), "untold": "true"}
    return get_editor(name)(model, **own)


def answers(editor: Any) -> list[str]:
    return [answer.text for answer in editor.generate(ASKED)]


def close(*editors: Any) -> None:
    for editor in editors:
        if isinstance(editor, Serac):
            editor.memory.close()  # type: ignore[attr-defined]


def test_every_editor_has_a_kind_that_can_be_saved() -> None:
    assert KINDS.keys() == EDITORS.keys()
    for name in KINDS:
        assert all(hasattr(kind_of(name), method) for method in ("save", "keep", "restored", "kept"))


@pytest.mark.parametrize("edits", [(), (PARIS,), (PARIS, JAZZ)], ids=["none", "one", "two"])
@pytest.mark.parametrize("name", ["lookup", "ft", *TRAINED])
def test_it_is_what_it_was(name: str, edits: tuple[Edit, ...], base: LocalModel, tmp_path: Path) -> None:
    editor = made(name, base, tmp_path)
    for edit in edits:
        editor = editor.edit(edit)
    if name in TRAINED:  # the saved folder needs no other
        for file in (tmp_path / f"{name}-network").iterdir():
            file.unlink()
    place = editor.save(tmp_path / "editor")
    again = errata.load(place)
    assert type(again) is type(editor) and answers(again) == answers(editor)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    if isinstance(editor, (WeightEditor, Seprog)):
        assert again.settings == editor.settings and again.untold == editor.untold
        assert again.base.generate(ASKED) == base.generate(ASKED)
    if isinstance(editor, WeightEditor):
        assert again.changed.keys() == editor.changed.keys()
    if isinstance(editor, Seprog):
        assert again.edits == editor.edits == edits
        assert all(answer.edited == bool(edits) for answer in again.generate(ASKED))
    further, beside = again.edit(JAZZ), editor.edit(JAZZ)
    assert answers(further) == answers(beside)
    assert answers(again) == answers(editor), "the loaded one stays as it was"
    close(again)


def test_look_up_keeps_radius_untold_and_memory(base: LocalModel, tmp_path: Path) -> None:
    editor = made("lookup", base, tmp_path)
    editor.add(PARIS)
    again = errata.load(editor.save(tmp_path / "editor"))
    assert isinstance(again.scope, HiddenScope) and again.scope.radius == 0.25 and again.scope.model is again.model
    assert again.counterfactual == Verbatim("true")
    assert [one.edit.id for one in again.memory.list()] == ["paris"]
    again.add(JAZZ)
    close(again)
    third = errata.load(tmp_path / "editor", model=base)
    assert sorted(one.edit.id for one in third.memory.list()) == ["jazz", "paris"], "its memory is the folder's file"
    with pytest.raises(ModelError, match="are kept in .* itself; save it into another folder"):
        third.edit(PARIS).save(tmp_path / "editor")
    close(third, editor)


def test_the_base_is_loaded_as_it_was(folder: Path, base: LocalModel, tmp_path: Path) -> None:
    place = made("ft", base, tmp_path).save(tmp_path / "editor")
    told = json.loads((place / saving.SETTINGS).read_text())
    assert told["model"]["load"] == str(folder.resolve()) and told["model"]["options"] == {"max_new_tokens": 6}
    assert errata.load(place).given.max_new_tokens == 6
    for model in (EchoModel({"a": "b"}), RemoteModel("http://localhost:1/v1", model="m", system="Be brief.")):
        source = model.source
        assert source is not None
        json.dumps(dict(source.options))
        again: Any = errata.load_model(source.name, **source.options)
        assert again.name == model.name and again.source == source
    assert RemoteModel("http://localhost:1/v1?key=secret", model="m").source is None


def test_a_base_without_a_name_is_given_at_load(base: LocalModel, tmp_path: Path) -> None:
    own = LocalModel(base.module, base.tokenizer, name="mine", max_new_tokens=6)
    editor = made("ft", own, tmp_path).edit(PARIS)
    place = editor.save(tmp_path / "editor")
    with pytest.raises(ModelError, match=r"in front of mine, which was not loaded by a name; give the model: .*model="):
        errata.load(place)
    assert answers(errata.load(place, model=own)) == answers(editor)


@pytest.mark.parametrize("name", ["ft", "mend", "slag", "seprog"])
def test_another_base_is_refused(name: str, base: LocalModel, tmp_path: Path) -> None:
    """Of another shape, and of the same shape with other weights."""
    place = made(name, base, tmp_path).edit(PARIS).save(tmp_path / "editor")
    other = LocalModel.from_pretrained(tiny_blenderbot(tmp_path / "other"), device="cpu")
    names = [name for name, value in base.module.named_parameters() if value.dim() > 1]
    moved = base.with_weights({names[-1]: base.module.get_parameter(names[-1]) + 0.1})
    for wrong in (other, moved):
        with pytest.raises(ModelError, match=f"was saved for another base than {wrong.name}"):
            errata.load(place, model=wrong)
    with pytest.raises(UnsupportedModel, match="echo (does not show its weights|takes text only)"):
        errata.load(place, model="echo")
    if name in TRAINED:
        for wrong in (other, moved):
            with pytest.raises(ModelError, match="was trained for another base"):
                get_editor(name)(wrong, weights=tmp_path / f"{name}-network")


def test_a_network_without_a_fingerprint_is_still_read(base: LocalModel, tmp_path: Path) -> None:
    place = network_folder("mend", base, tmp_path / "network")
    config = json.loads((place / CONFIG).read_text())
    del config["base"]
    (place / CONFIG).write_text(json.dumps(config))
    assert Mend.from_pretrained(place, base).settings == SETTINGS["mend"]


def test_saving_again_replaces_and_leaves_nothing_else(base: LocalModel, tmp_path: Path) -> None:
    place = made("mend", base, tmp_path).save(tmp_path / "editor")
    assert sorted(path.name for path in place.iterdir()) == [WEIGHTS, saving.SETTINGS, "network"]
    made("seprog", base, tmp_path).save(place)
    assert sorted(path.name for path in place.iterdir()) == [VECTORS, saving.SETTINGS, "network"]
    made("lookup", base, tmp_path).save(place)
    assert sorted(path.name for path in place.iterdir()) == ["edits.db", saving.SETTINGS]
    close(errata.load(place))


def test_a_failure_leaves_what_was_there(base: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = made("ft", base, tmp_path).edit(PARIS)
    place = editor.save(tmp_path / "editor")

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(saving.json, "dumps", full)
        with pytest.raises(ModelError, match="cannot save the editor in .*No space left"):
            editor.edit(JAZZ).save(place)
    assert [path.name for path in tmp_path.iterdir()] == ["editor"]
    assert answers(errata.load(place)) == answers(editor)


def test_a_folder_of_something_else_is_not_replaced(base: LocalModel, tmp_path: Path) -> None:
    editor = made("ft", base, tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    with pytest.raises(ModelError, match=r"holds something else too \(thesis.txt\)"):
        editor.save(tmp_path / "full")
    with pytest.raises(ModelError, match="it is no folder"):
        editor.save(tmp_path / "full" / "thesis.txt")
    assert (tmp_path / "full" / "thesis.txt").read_text() == "x"


def broken(place: Path, file: str) -> None:
    path = place / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "file", "said"),
    [
        ("ft", WEIGHTS, f"cannot read .*{WEIGHTS}"),
        ("ft", saving.SETTINGS, "holds no saved editor"),
        ("mend", f"network/{NETWORK}", "holds no trained mend network"),
        ("enn", f"network/{CONFIG}", "holds no trained enn network"),
        ("slag", f"network/{NETWORK}", "holds no trained slag network"),
        ("seprog", f"network/{NETWORK}", "holds no trained seprog network"),
        ("seprog", VECTORS, f"cannot read .*{VECTORS}"),
        ("lookup", "edits.db", "edits.db"),
    ],
)
@pytest.mark.parametrize("gone", [True, False], ids=["gone", "cut"])
def test_a_damaged_file_is_named(
    name: str, file: str, said: str, gone: bool, base: LocalModel, tmp_path: Path
) -> None:  # fmt: skip
    editor = made(name, base, tmp_path).edit(PARIS)
    place = editor.save(tmp_path / "editor")
    if gone:
        (place / file).unlink()
    else:
        broken(place, file)
    with pytest.raises((ModelError, StoreError), match=said):
        errata.load(place)
    if gone:
        assert not (place / file).exists(), "looking makes no new one"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"editor": "mendd"}, ConfigError),
        ({"editor": ["ft"]}, ErrataError),
        ({"model": "t5"}, ModelError),
        ({"model": None}, ModelError),
        ({"settings": None}, ModelError),
        ({"settings": {"learning_rate": 1.0}}, ConfigError),
        ({"settings": {"lr": "fast"}}, ConfigError),
        ({"extra": 1}, ConfigError),
    ],
)
def test_settings_that_make_no_sense(
    change: dict[str, Any], error: type[Exception], base: LocalModel, tmp_path: Path
) -> None:  # fmt: skip
    place = made("ft", base, tmp_path).save(tmp_path / "editor")
    told = json.loads((place / saving.SETTINGS).read_text())
    (place / saving.SETTINGS).write_text(json.dumps(told | change))
    with pytest.raises(error):
        errata.load(place)
    (place / saving.SETTINGS).write_text(json.dumps({key: value for key, value in told.items() if key != "untold"}))
    with pytest.raises(ConfigError, match="the key 'untold' is missing"):
        errata.load(place)


def test_how_long_a_counterfactual_model_answers_is_kept(folder: Path, tmp_path: Path) -> None:
    model = LocalModel.from_pretrained(folder, device="cpu")
    under = Seq2SeqCounterfactual.from_pretrained(folder, device="cpu", max_new_tokens=3, separator=" : ")
    editor = Serac(model, scope=HiddenScope(model, 0.25), counterfactual=under).edit(PARIS)  # type: ignore[arg-type]
    again = errata.load(editor.save(tmp_path / "editor"))
    assert again.counterfactual.options == under.options and again.counterfactual.separator == " : "
    assert answers(again) == answers(editor)
    close(again)
