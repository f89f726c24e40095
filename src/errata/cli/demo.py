"""`errata demo`: a real frozen model, corrected before your eyes, and every promise put to the test.

In memory and in seconds; nothing of the user's is read or changed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from errata.cli.output import emit, short, table
from errata.cli.promises import Check, Parts, all_checks
from errata.cli.session import LateModel, Session, shared
from errata.cli.story import EDITS, QUESTIONS, STORY, WHY, Told, tell
from errata.cli.why import show
from errata.editors.documents import edit_document, explanation_document, match_document

if TYPE_CHECKING:
    from errata.editors.explain import Explanation
    from errata.editors.serac import Serac


@click.command("demo")
@shared(memory=False, parts=True)
def demo_verb(session: Session) -> None:
    """See a real model corrected: questions, paraphrases, near misses, the reason for one answer, and all undone.

    Exit code 1 when an answer is not as expected or a promise is broken.
    """
    session.url = ":memory:"
    began = time.perf_counter()
    say = _Teller(silent=session.json)
    editor = session.editor()
    model = editor.model.load() if isinstance(editor.model, LateModel) else editor.model
    texts = [ask.text for ask in STORY]
    base = model.generate(texts)
    say.base(model.name, base)
    editor.add(*EDITS)
    say.edits()
    told = tell(editor, base)
    say.rows(told)
    explanation = editor.explain(WHY)
    own = base[texts.index(WHY)]
    said = next(one.answer.text for one in told if one.ask.text == WHY)
    say.why(explanation, said, own)
    returned = _retracted(editor, base)
    say.retracted(returned, len(base))
    checks = list(all_checks(Parts(model, editor.scope, editor.counterfactual, EDITS, texts, base)))
    say.promises(checks)
    counts = [*_counts(told, base), ("after retracting, the base's answers", len(base), returned)]
    counts.append(("promises kept", len(checks), sum(check.ok for check in checks)))
    ok = all(expected == got for _, expected, got in counts)
    seconds = time.perf_counter() - began
    if session.json:
        emit({
            "ok": ok, "model": model.name, "seconds": round(seconds, 2),
            "edits": [edit_document(edit) for edit in EDITS],
            "rows": [_row(one) for one in told],
            "why": explanation_document(explanation, answer=said, base=own),
            "promises": [_check(check) for check in checks],
            "summary": [{"what": what, "expected": expected, "got": got} for what, expected, got in counts],
        })  # fmt: skip
    say.end(counts, ok, seconds)
    sys.exit(0 if ok else 1)


def _retracted(editor: Serac, base: Sequence[str]) -> int:
    """Retract everything; how many answers are the base's again."""
    editor.memory.retract([edit.id for edit in EDITS])
    answers = editor.generate([ask.text for ask in STORY])
    return sum(one.text == own and not one.edited for one, own in zip(answers, base, strict=True))


def _counts(told: Sequence[Told], base: Sequence[str]) -> list[tuple[str, int, int]]:
    """What the story expects of each group of inputs, and what it got."""
    changed = sum(own != edit.target for edit, own in zip(EDITS, base[: len(QUESTIONS)], strict=True))
    counts = [("questions that the base answers otherwise than the edits", len(EDITS), changed)]
    for group in dict.fromkeys(ask.group for ask in STORY):
        rows = [one for one in told if one.ask.group == group]
        how = "answered by the edit" if rows[0].ask.edit else "left to the base, identical"
        counts.append((f"{group}: {how}", len(rows), sum(one.ok for one in rows)))
    return counts


def _row(one: Told) -> dict[str, Any]:
    return {
        "group": one.ask.group, "input": one.ask.text, "base": one.base, "answer": one.answer.text,
        "edit": match_document(one.answer.decision.match), "expected_edit": one.ask.edit or None,
        "expected": one.expected, "ok": one.ok,
    }  # fmt: skip


def _check(check: Check) -> dict[str, Any]:
    return {
        "promise": check.promise, "claim": check.claim, "expected": check.expected, "got": check.got, "ok": check.ok,
        "detail": check.detail,
    }  # fmt: skip


def _fired(one: Told) -> str:
    match = one.answer.decision.match
    return f"{match.edit.id} ({match.score:.3f})" if match else ""


@dataclass(frozen=True)
class _Teller:
    """Tells the story as it goes, or says nothing."""

    silent: bool

    def base(self, name: str, base: Sequence[str]) -> None:
        self._say(f"1. The frozen base model, {name!r}, says:")
        self._table(("question", "base says"), list(zip((edit.prompt for edit in EDITS), base, strict=False)))

    def edits(self) -> None:
        self._say(f"2. {len(EDITS)} edits are added; the model itself is not touched:")
        self._table(("id", "prompt", "target"), [(edit.id, edit.prompt, edit.target) for edit in EDITS])

    def rows(self, told: Sequence[Told]) -> None:
        self._say("3. The same questions, paraphrases, what follows from the edits, and what must stay as it was:")
        self._table(
            ("", "kind", "input", "base says", "now", "edit (score)"),
            [(_mark(one.ok), one.ask.group, one.ask.text, short(one.base, 24), short(one.answer.text, 24), _fired(one))
             for one in told],
        )  # fmt: skip
        for one in told:
            if not one.ok:
                by = f" by {one.ask.edit}" if one.ask.edit else ""
                self._say(f"   NO: {one.ask.text!r}: expected {one.expected}{by}; {one.answer.decision.reason}")

    def why(self, explanation: Explanation, answer: str, base: str) -> None:
        self._say("\n4. Why?")
        if not self.silent:
            show(explanation, answer=answer, base=base)

    def retracted(self, returned: int, count: int) -> None:
        self._say(f"\n5. All edits retracted: {returned} of {count} answers are the base's own again.")

    def promises(self, checks: Sequence[Check]) -> None:
        self._say("\n6. The promises, put to the test:")
        self._table(
            ("", "", "promise", "expected", "got", ""),
            [(_mark(one.ok), one.promise, one.claim, one.expected, one.got, one.detail) for one in checks],
        )

    def end(self, counts: Sequence[tuple[str, int, int]], ok: bool, seconds: float) -> None:
        self._say("7. Altogether:")
        self._table(
            ("", "what", "expected", "got"),
            [(_mark(expected == got), what, expected, got) for what, expected, got in counts],
        )
        self._say(f"{'Everything as promised' if ok else 'NOT everything as promised'}, in {seconds:.1f} s.")
        self._say('Your turn: errata add "QUESTION" "ANSWER", errata ask, errata why "QUESTION"')

    def _say(self, text: str) -> None:
        if not self.silent:
            click.echo(text)

    def _table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        if not self.silent:
            table(columns, rows)
            click.echo("")


def _mark(ok: bool) -> str:
    return "ok" if ok else "NO"
