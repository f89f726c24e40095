"""A scope classifier and a counterfactual model that need no weights, and a tiny data folder we made up."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from errata.edit import Candidate, Edit, Match
from tiny_problems import write

WIDTH = 64


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


class OverlapScope:
    """Scores the share of common words; also its own dual half, so that it passes for a cascade."""

    k: int | None = 6
    fingerprint = "overlap"
    dimension = WIDTH

    @property
    def dual(self) -> OverlapScope:
        return self

    def _vector(self, text: str) -> np.ndarray:
        vector = np.full(WIDTH, 1e-3, np.float32)
        for word in words(text):
            vector[zlib.crc32(word.encode()) % WIDTH] += 1
        return vector / np.linalg.norm(vector)

    def encode_inputs(self, inputs: Sequence[str]) -> np.ndarray:
        return np.stack([self._vector(text) for text in inputs]).astype(np.float32)

    def encode_edits(self, edits: Sequence[Edit]) -> np.ndarray:
        return self.encode_inputs([edit.prompt for edit in edits])

    def judge(self, inputs: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[list[Match]]:
        def score(text: str, edit: Edit) -> float:
            mine, its = words(text), words(edit.prompt)
            return len(mine & its) / len(mine | its)

        return [
            sorted((Match(one.edit, score(text, one.edit)) for one in row), key=lambda m: (-m.score, m.edit.id))
            for text, row in zip(inputs, candidates, strict=True)
        ]


class SaysTarget:
    """Answers with the edit's target."""

    def check(self, edit: Edit) -> None: ...

    def respond(self, inputs: Sequence[str], matches: Sequence[Match], base: Any, **options: Any) -> list[str]:
        return [match.edit.target for match in matches]


def _mend(subject: str, src: str, rephrase: str, alt: str) -> dict[str, Any]:
    new = {"New Question": f"What colour is the answer about {subject}?", "New Answer": "red"}
    return {"subject": subject, "src": src, "rephrase": rephrase, "alt": alt, "portability": new}


def _knowedit(subject: str, prompt: str, target: str, *cloze: str) -> dict[str, Any]:
    return {
        "subject": subject,
        "prompt": prompt,
        "target_new": target,
        "locality": {"Relation_Specificity": [{"prompt": text, "ground_truth": ["x"]} for text in cloze]},
        "portability": {
            "Subject_Aliasing": [{"prompt": f"Which family has Old {subject}?", "ground_truth": target}],
            "Reasoning": [{"prompt": f"And then, {subject}?", "ground_truth": ["two", "steps"]}],
        },
    }


def tiny_data(folder: Path) -> Path:
    """Two edits (a third record contradicts the first), one stranger, five train questions, two ordinary ones."""
    mend = [
        _mend("Alpha", "Which family does Alpha belong to?", "Alpha is of which family?", "Beetles"),
        _mend("Alpha", "Which family does Alpha belong to?", "What family is Alpha?", "Moths"),
        _mend("Beta", "Who directed Beta?", "Beta was directed by whom?", "Ann Lee"),
    ]
    knowedit = [
        _knowedit(
            "Alpha",
            "Which family does Alpha belong to?",
            "Beetles",
            "The taxon rank of Alpha is",
            "Alpha taxon rank",
            "The parent taxon of Alpha is",
            "The taxon rank of Alpha is",
            "The descent by of Alpha is",
        ),
        _knowedit("Beta", "Who made Beta?", "Ann Lee", "The director of Beta is", "Beta genre"),
        _knowedit("Gamma", "Who directed Gamma?", "Cy Fox", "Gamma genre"),
    ]
    paraphrases = [
        {**knowedit[0], "generate_prompt": ["To which family is Alpha assigned?", "Alpha is in which family?"]},
        {**knowedit[1], "generate_prompt": ["Never read: another prompt"]},
    ]
    alias = [{"subject": "Beta", "src": "Who directed Beta?", "alter_subject_question": "Who directed B.?"}]
    train = [{"input": f"Who directed {name}?", "answer": "Bo"} for name in ("Oslo", "Lima", "Rome", "Cairo", "Bonn")]
    asked = [{"question": "when did the moon fall", "answer": ["never"]}]
    asked += [{"question": "which family does alpha belong to", "answer": ["none"]}]
    for name, rows in {
        "zsre/mend_eval.json": mend,
        "zsre/knowedit_test.json": knowedit,
        "zsre/knowedit_test_paraphrases10.json": paraphrases,
        "zsre/alias.json": alias,
        "zsre/train_qa.jsonl": train,
        "nq_open/dev.jsonl": asked,
    }.items():
        write(folder / name, rows)
    return folder
