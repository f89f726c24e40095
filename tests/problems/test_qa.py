from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from errata.errors import ConfigError
from errata.problems.cases import DATA, DataFolder, Problem
from errata.problems.held_out import SHARE, is_held_out, normalise, pick, runs
from errata.problems.qa import load_qa
from errata.problems.specificity import as_question, asks_the_same, label_of, load_rules
from overlap import tiny_data

real = pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")


def kinds(problem: Problem) -> Counter[tuple[str, str]]:
    counted = Counter(("in", one.kind) for case in problem.cases for one in case.in_scope)
    counted += Counter(("out", one.kind) for case in problem.cases for one in case.out_of_scope)
    return counted + Counter(("out", one.kind) for one in problem.shared)


# the tiny data


def test_the_first_record_of_a_subject_is_the_edit(tmp_path: Path) -> None:
    problem = load_qa(tiny_data(tmp_path))
    assert [(case.edit.prompt, case.edit.target) for case in problem.cases] == [
        ("Which family does Alpha belong to?", "Beetles"),
        ("Who directed Beta?", "Ann Lee"),
    ]
    assert kinds(problem)["in", "rephrase"] == kinds(problem)["in", "same"] == 2


def test_what_knowedit_adds_counts_only_where_the_edit_is_ours(tmp_path: Path) -> None:
    """Beta's KnowEdit record has another prompt, so neither its paraphrases nor its second facts are used."""
    alpha, beta = load_qa(tiny_data(tmp_path)).cases
    assert [(one.text, one.answer) for one in alpha.in_scope if one.kind == "paraphrase10"] == [
        ("To which family is Alpha assigned?", "Beetles"),
        ("Alpha is in which family?", "Beetles"),
    ]
    assert [one.answer for one in alpha.in_scope if one.kind == "multi_hop"] == ["red", "two"]
    assert [one.text for one in alpha.in_scope if one.kind == "alias"] == ["Which family has Old Alpha?"]
    assert Counter(one.kind for one in beta.in_scope) == {"rephrase": 1, "same": 1, "multi_hop": 1, "alias": 1}


def test_other_relations_of_the_subject_as_questions(tmp_path: Path) -> None:
    problem = load_qa(tiny_data(tmp_path))
    asked = [one.text for case in problem.cases for one in case.out_of_scope if one.kind == "same_subject"]
    assert asked == [
        "What is the taxonomic rank of Alpha?",
        "Which taxon rank does Alpha have?",
        "To which genre does Beta belong?",
    ]
    assert dict(problem.notes) == {
        "same_subject prompts": 7,
        "same_subject dropped: repeated": 1,
        "same_subject dropped: asks the edit's relation": 2,
        "same_subject dropped: no rule": 1,
    }
    assert kinds(problem)["out", "same_subject_cloze"] == 4
    assert problem.apart == {"same_subject_cloze"}


def test_the_dev_split_has_no_subject_of_a_test_file(tmp_path: Path) -> None:
    def row(subject: str, other: str) -> dict[str, object]:
        asked = {"prompt": other, "ground_truth": "x"}
        said = {"subject": subject, "prompt": f"Who made {subject}?", "target_new": "Bo", "locality": [asked]}
        return {**said, "rephrase_prompt": [f"{subject} was made by whom?", f"Who made {subject}?"]}

    folder = tiny_data(tmp_path) / "zsre"
    rows = [row("Zeta", "Who made Eta?"), row("Gamma", "Who saw Iota?"), row("Eta", "Who saw Theta?"), row("Zeta", "?")]
    (folder / "decao_dev.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "mend_train.json").write_text(json.dumps([{"loc": "nq question: how far is it"}]))
    problem = load_qa(tmp_path, split="dev")
    assert [case.edit.meta["subject"] for case in problem.cases] == ["Zeta", "Eta"]
    assert kinds(problem) == {("in", "rephrase"): 4, ("in", "same"): 2, ("out", "nq"): 1, ("out", "other_subject"): 1}
    assert {one.text for one in problem.shared} == {"how far is it", "Who saw Theta?"}
    assert dict(problem.notes) == {
        "edits dropped: a test file has the subject": 1,
        "other_subject dropped: names an edit's subject": 1,
    }


def test_strangers_and_ordinary_questions(tmp_path: Path) -> None:
    problem = load_qa(tiny_data(tmp_path))
    strangers = [one for one in problem.shared if one.kind == "other_subject"]
    assert [(one.text, one.hard) for one in strangers] == [("Who directed Gamma?", True)]
    assert kinds(problem)["out", "nq"] == 2
    held = {one.text for one in problem.shared if one.kind == "train_other_subject"}
    assert held <= {f"Who directed {name}?" for name in ("Oslo", "Lima", "Rome", "Cairo", "Bonn") if is_held_out(name)}


def test_the_hash_is_of_the_contents(tmp_path: Path) -> None:
    first, again = load_qa(tiny_data(tmp_path / "a")), load_qa(tiny_data(tmp_path / "b"))
    assert first.data_hash == again.data_hash
    path = tmp_path / "b" / "nq_open" / "dev.jsonl"
    path.write_text(json.dumps({"question": "why"}) + "\n")
    assert load_qa(tmp_path / "b").data_hash != first.data_hash


def test_samples_are_seeded(tmp_path: Path) -> None:
    problem = load_qa(tiny_data(tmp_path))
    assert problem.sample(None, 0) is problem
    assert problem.sample(1, 3).cases == problem.sample(1, 3).cases
    assert len(problem.sample(1, 3).cases) == 1
    assert problem.sample(1, 3).shared == problem.shared
    few = problem.limited(1, 0)
    assert len(few.cases) == 2
    assert set(kinds(few).values()) == {1}
    for wrong in (0, 3):
        with pytest.raises(ConfigError, match="has 2 edits"):
            problem.sample(wrong, 0)
    with pytest.raises(ConfigError, match="limit"):
        problem.limited(0, 0)


# bad data


def test_without_the_variable_one_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA, raising=False)
    with pytest.raises(ConfigError, match=f"{DATA} is not set; let it name the folder"):
        load_qa()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "holds no records"),
        ("{}", "must hold a list"),
        ("[{", "is no JSON"),
        ('[{"subject": "A"}]', "record 1, line 1: there is no field 'src'"),
        ("[1]", "record 1, line 1: a record must be an object, not int"),
        (b"\xff\xfe[]", "line 1 is not UTF-8"),
        (None, "cannot read zsre/mend_eval.json"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str | bytes | None, message: str) -> None:
    path = tiny_data(tmp_path) / "zsre" / "mend_eval.json"
    path.unlink()
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=message):
        load_qa(tmp_path)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    (tiny_data(tmp_path) / "nq_open" / "dev.jsonl").write_text('{"question": "a"}\n\n{"question\n')
    with pytest.raises(ConfigError, match="line 3 is no JSON"):
        load_qa(tmp_path)


def test_a_record_is_named_by_its_line_in_a_list_too(tmp_path: Path) -> None:
    path = tmp_path / "zsre" / "mend_eval.json"
    path.parent.mkdir()
    path.write_text('[\n  {"subject": "[A]"},\n  {\n    "subject": "B"\n  }\n  , {"name": "C, D"}]')
    with pytest.raises(ConfigError, match="record 3, line 6: there is no field 'subject'"):
        DataFolder(tmp_path).read("zsre/mend_eval.json", "subject")
    path.write_text('[{"subject": "A"},\n 7]')
    with pytest.raises(ConfigError, match="record 2, line 2: a record must be an object, not int"):
        DataFolder(tmp_path).read("zsre/mend_eval.json", "subject")


def test_no_such_folder_or_split(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="which is no folder"):
        DataFolder(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="no split 'train'"):
        load_qa(tmp_path, split="train")


# rewording


@pytest.mark.parametrize(
    ("prompt", "subject", "question"),
    [
        ("The taxon rank of Epaspidoceras is", "Epaspidoceras", "What is the taxonomic rank of Epaspidoceras?"),
        ("Epaspidoceras taxon rank", "Epaspidoceras", "Which taxon rank does Epaspidoceras have?"),
        ("The part of of NGC 1 is", "NGC 1", "What is NGC 1 part of?"),
        ("The shade of Alpha is", "Alpha", "What is the shade of Alpha?"),
        ("The sold by of Alpha is", "Alpha", None),
        ("Alpha", "Alpha", None),
        ("What is Alpha?", "Alpha", None),
    ],
)
def test_as_question(prompt: str, subject: str, question: str | None) -> None:
    assert as_question(prompt, subject) == question


@pytest.mark.parametrize(
    ("label", "question", "same"),
    [
        ("parent taxon", "Which family does Alpha belong to?", True),
        ("taxon rank", "Which family does Alpha belong to?", False),
        ("place of death", "What city did Alpha live when he died?", True),
        ("cause of death", "What city did Alpha live when he died?", False),
        ("place of birth", "Where was Alpha from?", True),
        ("place of birth", "When was Alpha born?", False),
        ("director of photography", "Who is the director of Alpha?", False),
        ("director", "Who was the director of photography of Alpha?", False),
        ("located in the administrative territorial entity", "What state is Alpha located?", True),
        ("country", "What state is Alpha located?", False),
        ("discoverer or inventor", "When was Alpha found?", False),
        ("family name", "Which family does Alpha belong to?", False),
        ("shade", "What shade is Alpha?", True),
    ],
)
def test_asks_the_same(label: str, question: str, same: bool) -> None:
    assert asks_the_same(f"The {label} of Alpha is", "Alpha", question) is same


def test_the_subjects_own_words_do_not_tell_the_relation() -> None:
    assert not asks_the_same(
        "The constellation of The Constellation is", "The Constellation", "Who made The Constellation?"
    )
    assert not asks_the_same("no cloze", "Alpha", "Who made Alpha?")


def test_every_rule_gives_questions() -> None:
    for label, rule in load_rules().items():
        assert all(template.endswith("?") and template[0].isupper() for template in rule.ask), label
        assert label_of(f"The {label} of Alpha is", "Alpha") == (label, 0)
        assert len(set(rule.ask)) == len(rule.ask)


# held out


def test_holding_out_goes_by_the_normalised_subject() -> None:
    assert is_held_out("Atlanta Flames") == is_held_out(" atlanta FLAMES!")
    share = sum(is_held_out(f"subject {n}") for n in range(2_000)) / 2_000
    assert abs(share - SHARE / 100) < 0.04


def test_pick_leaves_out_subjects_that_training_may_see() -> None:
    names = [f"Name{n}" for n in range(40)]
    held = [name for name in names if is_held_out(name)]
    questions = [(f"Who directed {name}?", "x") for name in names]
    mined = [("Who directed {}?", name) for name in names]
    assert [one.subject for one in pick(questions, mined)] == held
    assert [one.subject for one in pick(questions, mined, others=[f"see {held[0]} here"])] == held[1:]
    unmined = [*questions, (f"And {held[1]} of old?", "y")]
    assert held[1] not in [one.subject for one in pick(unmined, [*mined, None])]
    few = pick(questions, mined, count=3)
    assert len(few) == 3 and few == pick(questions, mined, count=3)


# the real data


@pytest.fixture(scope="module")
def qa() -> Problem:
    return load_qa()


@real
def test_the_figures_inputs_are_all_there(qa: Problem) -> None:
    found = kinds(qa)
    assert len(qa.cases) == 582
    assert found["in", "rephrase"] == found["in", "same"] == 582
    assert found["out", "nq"] == 3_610
    assert found["out", "other_subject"] == 380
    assert found["out", "train_other_subject"] == 3_000
    assert found["out", "same_subject"] > 850
    assert found["in", "paraphrase10"] > 4_000
    assert found["in", "multi_hop"] >= 582
    assert dict(qa.notes)["same_subject prompts"] == 1_186
    assert "same_subject dropped: no rule" not in dict(qa.notes)


@real
def test_no_out_of_scope_question_is_an_edits_own(qa: Problem) -> None:
    mine = {normalise(one.text) for case in qa.cases for one in case.in_scope if one.kind in ("same", "rephrase")}
    outside = [one for case in qa.cases for one in case.out_of_scope] + list(qa.shared)
    assert [one.text for one in outside if normalise(one.text) in mine] == []
    subjects = {normalise(case.edit.meta["subject"]) for case in qa.cases}
    strangers = [one.text for one in qa.shared if one.kind == "train_other_subject"]
    assert [text for text in strangers if subjects & set(runs(normalise(text).split()))] == []
