from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from errata.errors import ConfigError
from errata.problems.cases import DATA, Problem
from errata.problems.fact_check import (
    LABELS,
    SPLITS,
    Claim,
    load_fact_check,
    page,
    read_fever,
    read_fever_symmetric,
)
from errata.problems.held_out import normalise
from tiny_problems import FEW, MANY, NEW, OLD, OPEN, fact_check_data, mill, pages, verdict, write

real = pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")

Rows = Sequence[Mapping[str, Any]]


def loaded(folder: Path, rows: Rows, **options: Any) -> Problem:
    return load_fact_check(fact_check_data(folder, test=rows), **options)


# the tiny data


def test_evidence_is_an_edit_and_claims_are_inputs(tmp_path: Path) -> None:
    old, new = loaded(tmp_path, mill(), every=True).cases
    assert (old.edit.prompt, old.edit.target, old.edit.id) == (OLD, "", "vitaminc-a_1")
    assert dict(old.edit.meta) == {"page": "Blue Mill", "page_group": "blue mill", "case_id": "a"}
    assert [(one.text, one.answer, one.kind) for one in old.in_scope] == [
        (FEW, "True", "supported"),
        (MANY, "False", "refuted"),
    ]
    assert [(one.text, one.kind, one.hard) for one in old.out_of_scope] == [(OPEN, "undecided", True)]
    assert new.edit.prompt == NEW
    assert [(one.text, one.answer) for one in new.in_scope] == [(FEW, "False"), (MANY, "True")]


def test_one_memory_holds_one_version_of_a_sentence(tmp_path: Path) -> None:
    """The versions contradict one another; the seed draws one, and over the seeds each is drawn."""
    drawn = set()
    for seed in range(12):
        problem = loaded(tmp_path, mill(), seed=seed)
        assert problem == loaded(tmp_path, mill(), seed=seed)
        [case] = problem.cases
        drawn.add(case.edit.prompt)
    assert drawn == {OLD, NEW}


def test_claims_of_pages_without_an_edit_are_out_of_every_scope(tmp_path: Path) -> None:
    problem = loaded(tmp_path, pages(10))
    assert len(problem.cases) == 8
    edited = {case.edit.meta["page"] for case in problem.cases}
    assert Counter((one.kind, one.hard) for one in problem.shared) == {("other_page", False): 4}
    assert not [one.text for one in problem.shared if " ".join(one.text.split()[:2]) in edited]
    assert {loaded(tmp_path, pages(10), seed=n).shared[0].text for n in range(8)} != {problem.shared[0].text}


def test_of_a_page_without_an_edit_eight_claims_at_most_are_asked(tmp_path: Path) -> None:
    said = pages(1)[0]["evidence"]
    many = [
        verdict(f"v{n}_{i}", f"Village {n}", "SUPPORTS", f"Village {n} has {i} wells .", f"{n} {said}")
        for n in range(5)
        for i in range(12)
    ]
    assert len(loaded(tmp_path, many).shared) == 8


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    rows = [
        *mill(),
        verdict("c_1", "Blue Mill", "SUPPORTS", FEW.upper(), OLD),
        verdict("d_1", "Blue Mill", "SUPPORTS", "Synthetic .", OLD, "synthetic"),
        verdict("e_1", "Blue Mill", "SUPPORTS", "Short .", "Ten words are not over ten and that is all"),
        verdict("f_1", "Blue Mill", "SUPPORTS", "Of two minds .", OLD),
        verdict("f_2", "Blue Mill", "REFUTES", "Of two minds .", OLD),
        verdict("g_1", "Blue Mill", "SUPPORTS", "Said twice .", OLD),
        verdict("g_2", "Red Mill", "SUPPORTS", "Said twice .", OLD.replace("Blue", "Red")),
    ]
    problem = loaded(tmp_path, rows, every=True)
    assert dict(problem.notes) == {
        "records dropped: repeated": 1,
        "records dropped: synthetic": 1,
        "records dropped: evidence of 10 words or fewer": 1,
        "records dropped: the evidence has two labels for the claim": 2,
        "records dropped: a claim of several pages": 2,
    }
    assert [len(case.in_scope) for case in problem.cases] == [2, 2]


def test_pages_of_which_one_names_the_other_count_as_one(tmp_path: Path) -> None:
    rows = [
        *mill(),
        verdict("h_1", "Fires of the Blue Mill", "SUPPORTS", "It burnt .", f"In 1880 and then again {OLD}"),
    ]
    [case] = loaded(tmp_path, rows).cases
    assert case.edit.meta["page_group"] == "blue mill"
    groups = {one.edit.meta["page_group"] for one in loaded(tmp_path, rows, every=True).cases}
    assert groups == {"blue mill"}


def test_pages_of_a_later_split_are_left_out(tmp_path: Path) -> None:
    folder = fact_check_data(tmp_path, train=pages(5), dev=pages(5, first=2), test=pages(5, first=4))
    counts = {split: load_fact_check(folder, split=split, every=True) for split in SPLITS}
    pages_of = {split: {case.edit.meta["page"] for case in problem.cases} for split, problem in counts.items()}
    assert pages_of["train"] <= {"Village 0", "Village 1"}
    assert pages_of["dev"] <= {"Village 2", "Village 3"}
    assert dict(counts["train"].notes) == {"page groups dropped: in a later split": 3}
    assert (counts["test"].split, counts["test"].name) == ("test", "fact_check")


def test_a_name_without_an_ascii_letter_is_a_page_of_its_own() -> None:
    assert page({"page": "東京"}) != page({"page": "大阪"})
    assert page({"page": "Blue  mill"}) == "blue mill"


# as many claims of each label


def uneven() -> list[dict[str, str]]:
    """Twenty pages: twenty supported claims, six refuted, ten undecided; four pages have a supported claim alone."""
    rows = []
    for n, row in enumerate(pages(20)):
        village = n // 2
        if row["label"] == "SUPPORTS" or village < 10:
            rows.append(row)
        if row["label"] == "SUPPORTS" and village >= 14:
            rows.append({**row, "unique_id": f"r{n}", "claim": f"{row['page']} is flat .", "label": "REFUTES"})
    return rows


def by_label(problem: Problem) -> Counter[str]:
    return Counter(one.kind for case in problem.cases for one in (*case.in_scope, *case.out_of_scope))


def test_balanced_claims_are_as_many_as_the_rarest(tmp_path: Path) -> None:
    folder = fact_check_data(tmp_path, dev=uneven())
    for every in (False, True):
        plain = load_fact_check(folder, split="dev", every=every)
        found = load_fact_check(folder, split="dev", every=every, balanced=True)
        rarest = min(by_label(plain).values())
        assert by_label(found) == dict.fromkeys(("supported", "refuted", "undecided"), rarest)
        assert dict(found.notes)["claims dropped: of a commoner label"] == sum(by_label(plain).values()) - 3 * rarest
        kept = {case.edit.id: (set(case.in_scope), set(case.out_of_scope)) for case in plain.cases}
        for case in found.cases:
            assert case.in_scope or case.out_of_scope
            assert kept[case.edit.id][0] >= set(case.in_scope) and kept[case.edit.id][1] >= set(case.out_of_scope)
        assert found.shared == plain.shared
    assert len(found.cases) < len(plain.cases), "an edit without a claim stays"


def test_the_seed_draws_what_is_left_out(tmp_path: Path) -> None:
    folder = fact_check_data(tmp_path, dev=uneven())
    drawn = [load_fact_check(folder, split="dev", seed=seed, balanced=True) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1]
    assert drawn[0].cases != drawn[2].cases


def test_the_test_split_is_not_balanced(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="test split is measured as it is"):
        load_fact_check(fact_check_data(tmp_path), balanced=True)


# bad data


def changed(**fields: Any) -> list[dict[str, Any]]:
    return [*mill(), {**verdict("z_1", "Z", "SUPPORTS", "A claim .", NEW), **fields}]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (changed(label="MAYBE"), r"test.jsonl: line 7: 'label' is 'MAYBE'; accepted: SUPPORTS, REFUTES"),
        (changed(label="SUPPORT"), "did you mean 'SUPPORTS'"),
        (changed(revision_type="fake"), "line 7: 'revision_type' is 'fake'; accepted: real, synthetic"),
        (changed(claim=7), "test.jsonl: line 7: 'claim' must be text, not int"),
        (changed(claim=" "), "line 7: 'claim' is empty"),
        (changed(evidence="word " * 1_000), "line 7: 'evidence' has 5,000 characters"),
        (changed(page="\ud800"), "line 7: 'page' holds binary data"),
        (changed(unique_id="a_1"), "line 7: 'unique_id' a_1 came before"),
        ([{"claim": "x"}], "line 1: there is no field 'unique_id'"),
        ([], "holds no records"),
    ],
)
def test_bad_records_are_refused(tmp_path: Path, rows: Rows, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loaded(tmp_path, rows)


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b'{"claim": "caf\xe9"}', "test.jsonl: line 1 is not UTF-8"),
        (b'{"claim": "a"}\n{"claim', "test.jsonl: line 2 is no JSON"),
        ('\ufeff{"claim": "a"}'.encode(), "line 1 is no JSON"),
    ],
)
def test_bad_bytes_are_refused(tmp_path: Path, blob: bytes, message: str) -> None:
    (fact_check_data(tmp_path) / "vitaminc" / "test.jsonl").write_bytes(blob)
    with pytest.raises(ConfigError, match=message):
        load_fact_check(tmp_path)


def test_no_such_split_or_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fact_check has no split 'val'; accepted: train, dev, test"):
        load_fact_check(tmp_path, split="val")
    with pytest.raises(ConfigError, match=r"cannot read vitaminc/test.jsonl"):
        load_fact_check(tmp_path)


# further claims


def test_the_readers_of_fever(tmp_path: Path) -> None:
    write(tmp_path / "fever" / "dev.jsonl", [{"id": 1, "claim": "A.", "label": "REFUTES", "evidence_pages": []}])
    first = [{"id": "1", "claim": "B .", "label": "SUPPORTS", "evidence_sentence": "So it is ."}]
    second = [{"id": "2", "claim": "C .", "label": "REFUTES", "gold_label": "REFUTES", "evidence": "It is not ."}]
    write(tmp_path / "fever_symmetric" / "v01_generated.jsonl", first)
    path = write(tmp_path / "fever_symmetric" / "v02_dev.jsonl", second)
    assert list(read_fever(tmp_path)) == [Claim("A.", "REFUTES")]
    assert list(read_fever_symmetric(tmp_path)) == [
        Claim("B .", "SUPPORTS", "So it is ."),
        Claim("C .", "REFUTES", "It is not ."),
    ]
    write(path, [{"claim": "C", "label": "refutes", "evidence": "x"}])
    with pytest.raises(ConfigError, match=r"v02_dev.jsonl: line 1: 'label' is 'refutes'"):
        list(read_fever_symmetric(tmp_path))
    write(path, [{"claim": "C", "label": "REFUTES"}])
    with pytest.raises(ConfigError, match="line 1: there is no field 'evidence'"):
        list(read_fever_symmetric(tmp_path))


# the real data


@pytest.fixture(scope="module")
def problem() -> Problem:
    return load_fact_check()


@real
def test_the_counts(problem: Problem) -> None:
    inside = Counter(one.kind for case in problem.cases for one in case.in_scope)
    outside = Counter(one.kind for case in problem.cases for one in case.out_of_scope)
    assert len(problem.cases) == 331
    assert inside == {"supported": 254, "refuted": 149}
    assert outside == {"undecided": 118}
    assert Counter(one.kind for one in problem.shared) == {"other_page": 266}
    assert len(load_fact_check(every=True).cases) == 1_970


@real
@pytest.mark.parametrize("seed", [0, 1])
def test_no_input_is_anothers_in_scope_input(seed: int) -> None:
    problem = load_fact_check(seed=seed)
    scopes = [{normalise(one.text) for one in case.in_scope} for case in problem.cases]
    assert sum(map(len, scopes)) == len(set().union(*scopes))
    outside = [one for case in problem.cases for one in case.out_of_scope] + list(problem.shared)
    assert [one.text for one in outside if normalise(one.text) in set().union(*scopes)] == []
    assert max(Counter(case.edit.meta["page_group"] for case in problem.cases).values()) == 1


@real
def test_splits_share_no_page() -> None:
    names = []
    for split in SPLITS:
        whole = load_fact_check(split=split, every=True)
        names.append({normalise(case.edit.meta["page"]) for case in whole.cases})
    assert names[0] & names[1] == names[0] & names[2] == names[1] & names[2] == set()


@real
def test_fever_is_read() -> None:
    assert Counter(one.label for one in read_fever()) == dict.fromkeys(LABELS, 6_666)
    found = list(read_fever_symmetric())
    assert len(found) == 717 + 708 and all(one.evidence for one in found)


# the hub


def test_a_data_set_of_the_hub_is_read_as_it_was_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    fact_check_data(tmp_path / "here", test=mill())
    flat = tmp_path / "cache"
    (tmp_path / "here" / "vitaminc").rename(flat)
    asked: list[tuple[str, dict[str, object]]] = []

    def download(name: str, **options: object) -> str:
        asked.append((name, options))
        return str(flat)

    monkeypatch.setattr(hub, "snapshot_download", download)
    problem = load_fact_check("hub:tals/vitaminc@abc")
    assert asked == [("tals/vitaminc", {"repo_type": "dataset", "revision": "abc"})]
    assert len(problem.cases) + len(problem.shared) > 0


def test_what_the_hub_does_not_give_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def refuse(name: str, **options: object) -> str:
        raise OSError("offline")

    monkeypatch.setattr(hub, "snapshot_download", refuse)
    with pytest.raises(ConfigError, match=r"the hub did not give tals/vitaminc \(OSError\); name a folder"):
        load_fact_check("hub:tals/vitaminc")
    with pytest.raises(ConfigError, match="'hub:vitaminc' names no data set; say hub:owner/name"):
        load_fact_check("hub:vitaminc")
