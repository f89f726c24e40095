from __future__ import annotations

from pathlib import Path

import pytest

from errata import zoo
from errata.errors import ConfigError, ModelError
from errata.experiments import measuring, parts
from errata.experiments.parts import FOLDERS, PRESETS, Setting, find, open_counterfactual, open_scope
from errata.experiments.presets import preset_model
from tiny import tiny_t5


def part(folder: Path, text: str = "{}") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(text)
    return folder


def test_every_problem_has_parts_and_data_in_every_preset() -> None:
    assert all(set(table) >= {"qa", "qa_hard", "fact_check", "sentiment"} for table in PRESETS.values())
    assert {one.k for name, one in PRESETS["mini"].items() if name != "sentiment"} == {10}
    assert PRESETS["mini"]["sentiment"].k == 5
    assert set(FOLDERS) >= set(PRESETS["mini"])


def test_a_shipped_part_comes_first(tmp_path: Path) -> None:
    part(tmp_path / "dual" / "model")
    assert find("dual", tmp_path).place == "dual"
    cascade = find("cascade", tmp_path)
    assert cascade.fingerprint.startswith("cascade+") and cascade.fingerprint.count("+") == 3


def test_a_trained_part_is_found_and_known_by_its_files(tmp_path: Path) -> None:
    folder = part(tmp_path / "qa-k1" / "model")
    first = find("qa-k1", tmp_path)
    assert (first.place, first.folder, first.missing) == (str(folder), folder, "")
    (folder / "README.md").write_text("a card is not the part")
    assert find("qa-k1", tmp_path) == first
    (folder / "heads.safetensors").write_bytes(b"other")
    assert find("qa-k1", tmp_path).fingerprint != first.fingerprint


def test_a_part_whose_kind_must_be_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "names", lambda: ["dual"])
    folder = part(tmp_path / "verifier" / "model")
    assert find("verifier", tmp_path).place == f"verifier:{folder}"
    assert open_counterfactual(find("verifier", tmp_path)) == f"verifier:{folder}"
    assert find("lot", tmp_path).missing.endswith("run `errata train base leapofthought --out runs/lot`")
    known = part(tmp_path / "lot" / "model")
    assert find("lot", tmp_path).place == f"fc:{known}"
    assert open_counterfactual(find("verbatim", tmp_path)) == "verbatim"


@pytest.mark.parametrize(("name", "problem"), [("triples", "triples"), ("prose", "wikipedia")])
def test_a_base_that_does_not_ship(name: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name in the folder runs, and the command that makes it where it is not there."""
    monkeypatch.chdir(tmp_path)
    command = f"errata train base {problem} --out runs/{name}"
    assert find(name, Path("runs")).missing == f"not trained: run `{command}`"
    with pytest.raises(ModelError, match=command):
        preset_model("mini", problem)
    tiny_t5(tmp_path / "runs" / name / "model")
    assert find(name, Path("runs")).missing == "" and preset_model("mini", problem).name == name


def test_what_is_not_here(tmp_path: Path) -> None:
    assert find("google/t5-large-ssm-nq", tmp_path).missing == ""
    assert find("untrained:gpt2", tmp_path).place == "untrained:gpt2"
    assert find("chit-chat", tmp_path, make="errata x").missing == "not trained: run `errata x`"
    told = find("paper-qa-scope", tmp_path).missing
    assert told == f"not trained: run `errata train scope qa --preset paper --out {tmp_path}/paper-qa-scope`"


def test_folders_are_opened_by_what_they_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DualScope", "CrossScope", "Reader"):
        monkeypatch.setattr(parts, name, lambda folder, name=name: (name, folder))
    dual = part(tmp_path / "a-dual" / "model", '{"shape": "dual"}')
    pair = part(tmp_path / "a-pair" / "model", '{"shape": "pair"}')
    writer = part(tmp_path / "a-writer" / "model", '{"architectures": ["T5ForConditionalGeneration"]}')
    assert open_scope(find("a-dual", tmp_path)) == ("DualScope", dual)
    assert open_scope(find("a-pair", tmp_path)) == ("CrossScope", pair)
    assert open_counterfactual(find("a-pair", tmp_path)) == ("Reader", pair)
    assert open_counterfactual(find("a-writer", tmp_path)) == str(writer)
    assert open_scope(find("cascade", tmp_path)) == "cascade"


def test_the_hash_is_of_the_problems_own_data(tmp_path: Path) -> None:
    (tmp_path / "vitaminc").mkdir()
    (tmp_path / "convsent").mkdir()
    (tmp_path / "vitaminc" / "test.jsonl").write_text("{}")
    setting = Setting(data=tmp_path)
    (tmp_path / "wikitext2").mkdir()
    (tmp_path / "wikitext2" / "test.txt").write_text("a text is data too")
    assert setting.data_hash("wikipedia") != setting.data_hash("sentiment")
    first = setting.data_hash("fact_check"), setting.data_hash("sentiment")
    (tmp_path / "vitaminc" / "test.jsonl").write_text("[]")
    assert setting.data_hash("fact_check") != first[0] and setting.data_hash("sentiment") == first[1]
    assert setting.data_hash("none") == ""
    with pytest.raises(ConfigError, match="no folder"):
        Setting(data=tmp_path / "no").data_hash("qa")


def test_the_hash_covers_the_questions_that_zsre_is_asked_out_of_scope(tmp_path: Path) -> None:
    for name in ("zsre", "nq_open"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dev.jsonl").write_text("{}")
    before = Setting(data=tmp_path).data_hash("zsre_copy")
    (tmp_path / "nq_open" / "dev.jsonl").write_text('{"question": "who"}')
    assert Setting(data=tmp_path).data_hash("zsre_copy") != before


def test_the_cascade_before_a_verifier_is_known_by_what_it_reads_with(tmp_path: Path) -> None:
    setting = Setting(runs=tmp_path)
    before = measuring.trio(setting, "fact_check").scope.fingerprint
    assert before == f"cascade+{find('dual', tmp_path).fingerprint}"
    assert measuring.trio(setting, "qa").scope.fingerprint == find("cascade", tmp_path).fingerprint
