"""QA: zsRE's test questions as edits (SERAC, section 4; Levy et al., 2017, in MEND's form), and what surrounds them.

Edits are the first record of each subject of zsre/mend_eval.json, in file order: many of its records contradict
one another (one subject, one relation, several targets), and all edits are in memory at once here. In scope are the
rephrase and the question itself; out of scope are Natural Questions, questions about subjects that no edit has,
and other relations asked of the edits' own subjects. Nothing of the test may be trained or tuned on; the dev split is
De Cao's (zsre/decao_dev.jsonl), without the subjects of any test file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from errata.edit import Edit
from errata.errors import ConfigError
from errata.problems import cases as kinds
from errata.problems.cases import DataFolder, EditCase, Labelled, Problem, Unlabelled, distinct
from errata.problems.facts import load_facts
from errata.problems.held_out import HeldOut, normalise, pick, runs
from errata.problems.specificity import as_question, asks_the_same
from errata.training.phrasebook import mine_templates, relation_of

EVAL = "zsre/mend_eval.json"
KNOWEDIT = "zsre/knowedit_test.json"
PARAPHRASES = "zsre/knowedit_test_paraphrases10.json"
ALIASES = "zsre/alias.json"
TRAIN = "zsre/train_qa.jsonl"
NATURAL = "nq_open/dev.jsonl"
DEV = "zsre/decao_dev.jsonl"
MEND_TRAIN = "zsre/mend_train.json"
SPLITS = ("dev", "test")
UNREAD = 150
"""Records at the end of MEND's train file whose Natural Questions training does not read: the dev split asks them."""

Row = Mapping[str, Any]


def load_qa(data: str | Path | None = None, *, split: str = "test") -> Problem:
    """The zsRE test, or the dev split, to tune on.

    Args:
        data: folder of the public data; None takes ERRATA_DATA.
        split: "dev" or "test".

    Raises:
        ConfigError: another split, no data folder, or a file that is missing or broken.
    """
    if split not in SPLITS:
        raise ConfigError(f"qa has no split {split!r}", key=split, accepted=SPLITS)
    folder = DataFolder(data)
    if split == "dev":
        return _dev(folder)
    records = first_of_each_subject(folder.read(EVAL, "subject", "src", "rephrase", "alt"))
    knowedit = folder.read(KNOWEDIT, "subject", "prompt", "target_new", "locality", "portability")
    notes: Counter[str] = Counter()
    inside = _in_scope(folder, records, knowedit)
    outside = same_subject(records, knowedit, notes)
    asked = {relation_or_wording(row["src"], row["subject"]) for row in records.values()}
    cases = tuple(
        EditCase(edit_of(at, row), distinct(inside[subject]), tuple(outside[subject]))
        for at, (subject, row) in enumerate(records.items())
    )
    shared = [Unlabelled(row["question"], kinds.NQ) for row in folder.read(NATURAL, "question")]
    shared += _strangers(records, knowedit, asked)
    held = held_out_train_questions(folder.read(TRAIN, "input", "answer"), others=[*records, *trained_texts(folder)])
    shared += [_stranger(one.question, _relation(one.template), asked, kinds.TRAIN_OTHER_SUBJECT) for one in held]
    return Problem(
        name="qa",
        split=split,
        cases=cases,
        shared=tuple(shared),
        apart=frozenset({kinds.SAME_SUBJECT_CLOZE}),
        data_hash=folder.hash,
        notes=tuple(sorted(notes.items())),
    )


def _dev(folder: DataFolder) -> Problem:
    """De Cao's dev records whose subject no test file has; out of scope are others' questions and Natural Questions."""
    rows = folder.read(DEV, "subject", "prompt", "target_new", "rephrase_prompt", "locality")
    tested = {
        normalise(row["subject"])
        for name in (EVAL, KNOWEDIT, PARAPHRASES, ALIASES)
        for row in folder.read(name, "subject")
    }
    notes: Counter[str] = Counter()
    first: dict[str, Row] = {}
    for row in rows:
        if normalise(row["subject"]) in tested:
            notes["edits dropped: a test file has the subject"] += 1
        else:
            first.setdefault(normalise(row["subject"]), row)
    natural = [row["loc"].removeprefix("nq question: ") for row in folder.read(MEND_TRAIN, "loc")][-UNREAD:]
    asked = {relation_or_wording(row["prompt"], row["subject"]) for row in first.values()}
    prompts = dict.fromkeys(item["prompt"] for row in first.values() for item in row["locality"])
    others = [text for text in prompts if first.keys().isdisjoint(runs(normalise(text).split()))]
    notes["other_subject dropped: names an edit's subject"] += len(prompts) - len(others)
    return Problem(
        name="qa",
        split="dev",
        cases=tuple(
            EditCase(
                Edit(prompt=row["prompt"], target=row["target_new"], id=f"zsre-dev-{at:04d}",
                     meta={"subject": row["subject"]}),
                distinct([
                    *(Labelled(text, row["target_new"], kinds.REPHRASE) for text in row["rephrase_prompt"]),
                    Labelled(row["prompt"], row["target_new"], kinds.SAME),
                ]),
            )
            for at, row in enumerate(first.values())
        ),
        shared=tuple(
            [Unlabelled(text, kinds.NQ) for text in dict.fromkeys(natural)]
            + [_stranger(text, normalise(text), asked, kinds.OTHER_SUBJECT) for text in others]
        ),
        data_hash=folder.hash,
        notes=tuple(sorted(notes.items())),
    )  # fmt: skip


def first_of_each_subject(rows: Iterable[Row]) -> dict[str, Row]:
    """The first record of each subject, in file order."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row["subject"], row)
    return first


def edit_of(at: int, row: Row) -> Edit:
    """The edit that a record of the test is, by its place among the first records."""
    return Edit(prompt=row["src"], target=row["alt"], id=f"zsre-{at:04d}", meta={"subject": row["subject"]})


# in scope


def _in_scope(folder: DataFolder, records: Mapping[str, Row], knowedit: Sequence[Row]) -> dict[str, list[Labelled]]:
    """In-scope inputs by subject; what KnowEdit and the alias file add counts only where their edit is ours."""
    found: dict[str, list[Labelled]] = {}
    for subject, row in records.items():
        found[subject] = [
            Labelled(row["rephrase"], row["alt"], kinds.REPHRASE),
            Labelled(row["src"], row["alt"], kinds.SAME),
        ]
        further = row.get("portability") or {}
        if "New Question" in further:
            found[subject].append(
                Labelled(further["New Question"], str(further.get("New Answer", "")), kinds.MULTI_HOP, True)
            )
    for row in folder.read(PARAPHRASES, "subject", "prompt", "generate_prompt"):
        ours = records.get(row["subject"])
        if ours is not None and ours["src"] == row["prompt"]:
            found[row["subject"]] += [
                Labelled(text, ours["alt"], kinds.PARAPHRASE10)
                for text in row["generate_prompt"]
                if text.strip()  # one of the published paraphrases is empty
            ]
    for row in knowedit:
        ours = records.get(row["subject"])
        if ours is not None and (ours["src"], ours["alt"]) == (row["prompt"], row["target_new"]):
            found[row["subject"]] += _portable(row["portability"])
    for row in folder.read(ALIASES, "subject", "src", "alter_subject_question"):
        ours = records.get(row["subject"])
        if ours is not None and ours["src"] == row["src"]:
            found[row["subject"]].append(Labelled(row["alter_subject_question"], ours["alt"], kinds.ALIAS, True))
    return found


def _portable(groups: Mapping[str, Sequence[Row]]) -> Iterator[Labelled]:
    """KnowEdit's questions with a second fact, and those with the subject's other name."""
    for name, kind in (("Reasoning", kinds.MULTI_HOP), ("Subject_Aliasing", kinds.ALIAS)):
        for item in groups.get(name, ()):
            answer = item["ground_truth"]
            yield Labelled(item["prompt"], answer if isinstance(answer, str) else str(answer[0]), kind, True)


# out of scope


def same_subject(
    records: Mapping[str, Row], knowedit: Sequence[Row], notes: Counter[str]
) -> dict[str, list[Unlabelled]]:
    """KnowEdit's Relation_Specificity of the edits' subjects, as questions and as published.

    Left out, and counted in `notes`: repetitions, prompts that ask for the edit's own relation, and those that no
    rule rewords.
    """
    found: dict[str, list[Unlabelled]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    for row in knowedit:
        subject = row["subject"]
        if subject not in records:
            continue
        for item in row["locality"].get("Relation_Specificity", ()):
            notes["same_subject prompts"] += 1
            prompt = item["prompt"]
            if (subject, prompt) in seen:
                notes["same_subject dropped: repeated"] += 1
                continue
            seen.add((subject, prompt))
            if asks_the_same(prompt, subject, records[subject]["src"]):
                notes["same_subject dropped: asks the edit's relation"] += 1
                continue
            found[subject].append(Unlabelled(prompt, kinds.SAME_SUBJECT_CLOZE, True, "published cloze prompt"))
            question = as_question(prompt, subject)
            if question is None:
                notes["same_subject dropped: no rule"] += 1
            elif (subject, question) in seen:
                notes["same_subject dropped: repeated"] += 1
            else:
                seen.add((subject, question))
                found[subject].append(Unlabelled(question, kinds.SAME_SUBJECT, True, "another relation"))
    return found


def relation_or_wording(question: str, subject: str) -> str:
    """The relation that a question asks of its subject, or where the phrasebook knows none the wording itself."""
    return _relation(question.replace(subject, "{}"))


def _relation(template: str) -> str:
    return relation_of(template) or normalise(template)


def _strangers(records: Mapping[str, Row], knowedit: Sequence[Row], asked: set[str]) -> list[Unlabelled]:
    """Questions of KnowEdit's records about subjects that no edit has."""
    return [
        _stranger(row["prompt"], relation_or_wording(row["prompt"], row["subject"]), asked, kinds.OTHER_SUBJECT)
        for row in knowedit
        if row["subject"] not in records
    ]


def _stranger(question: str, relation: str, asked: set[str], kind: str) -> Unlabelled:
    hard = relation in asked
    return Unlabelled(question, kind, hard, kinds.SAME_RELATION if hard else "a relation that no edit asks")


def trained_texts(folder: DataFolder) -> list[str]:
    """Other texts that training may read: none of their subjects counts as unseen.

    Files that are not there are passed over: what cannot be read cannot be trained on here.
    """
    texts = [fact.subject for fact in load_facts()]
    for name, fields in (
        ("zsre/mend_train.json", ("src", "subject")),
        ("counterfact/train.json", ("subject", "prompt")),
        ("pokemqa/edits.json", ("edit", "questions")),
        ("squad_implications/train.jsonl", ("question",)),
    ):
        if (folder.folder / name).is_file():
            for row in folder.read(name, *fields):
                for said in (row[field] for field in fields):
                    texts += [said] if isinstance(said, str) else said
    for path in sorted((folder.folder / "pararel" / "data" / "trex_lms_vocab").glob("*.jsonl")):
        name = path.relative_to(folder.folder).as_posix()
        texts += [row["sub_label"] for row in folder.read(name, "sub_label")]
    return texts


def held_out_train_questions(rows: Sequence[Row], *, others: Iterable[str] = ()) -> list[HeldOut]:
    """The questions of zsre/train_qa.jsonl that are kept out of training by their subject, 3,000 of them.

    Args:
        rows: all records, in file order (templates are mined from all of them, as training does).
        others: other texts whose subjects are no strangers: what is trained on, and the edits' subjects.
    """
    mined = mine_templates([row["input"] for row in rows])
    return pick([(row["input"], row["answer"]) for row in rows], mined, others=others)
