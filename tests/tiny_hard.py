"""QA-hard's files, tiny, with contents we made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny_problems import write

COUNT = 400


def record(subject: str, src: str, rephrase: str, alt: str, pred: str, *answers: str) -> dict[str, Any]:
    return {"subject": subject, "src": src, "rephrase": rephrase, "alt": alt, "pred": pred, "answers": list(answers)}


EVAL = [
    record("Alpha", "Who directed Alpha?", "Alpha was directed by whom?", "Ann Lee", "Bo Ek", "Cy Fox"),
    record("Alpha", "Who directed Alpha?", "Who made Alpha?", "Dee Hall", "Bo Ek", "Cy Fox"),
    record("Beta", "What gender is Beta?", "Which gender has Beta?", "female", "female", "female"),
    record("Gamma", "Tell me about Gamma.", "And Gamma?", "a mill", "a ford"),
    record("Delta", "Whom is Delta named after?", "Delta has whose name?", "Eli Gray", "Flo Hill"),
    record("Eta", "Whom is Eta named after?", "Eta has whose name?", "Eli Gray", "Flo Hill"),
]


def hard_data(folder: Path) -> Path:
    """Five edits, two of which would have one inverse question, and 400 train questions of two relations."""
    cloze = [{"prompt": "The genre of Alpha is", "ground_truth": ["x"]}]
    train = [{"input": f"Who directed Film{n}?", "answer": f"Bo{n}"} for n in range(COUNT // 2)]
    train += [{"input": f"Which city is Town{n} near?", "answer": f"Oslo{n}"} for n in range(COUNT // 2)]
    asked = [{"question": "when did the moon fall"}, {"question": "who directed the choir"}]
    knowedit = [{"subject": "Alpha", "prompt": "Who directed Alpha?", "locality": {"Relation_Specificity": cloze}}]
    for name, rows in {
        "zsre/mend_eval.json": EVAL,
        "zsre/knowedit_test.json": knowedit,
        "zsre/train_qa.jsonl": train,
        "nq_open/dev.jsonl": asked,
    }.items():
        write(folder / name, rows)
    return folder
