"""`errata why`: which edit fired for an input, or why none did, and what would change that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from errata.cli.output import emit, short, table
from errata.cli.session import Session, shared
from errata.editors.documents import explanation_document

if TYPE_CHECKING:
    from errata.edit import Match
    from errata.editors.explain import Explanation
    from errata.editors.serac import Serac


@click.command("why")
@click.argument("text", metavar="INPUT")
@shared(parts=True)
def why_verb(session: Session, text: str) -> None:
    """Tell which edit answers INPUT, or why none does and what would fix it."""
    editor = session.editor()
    explanation = editor.explain(text)
    answer = editor.generate([text])[0]
    base = editor.model.generate([text])[0]
    if session.json:
        emit(explanation_document(explanation, answer=answer.text, base=base))
    else:
        show(explanation, answer=answer.text, base=base)


def show(explanation: Explanation, *, answer: str, base: str) -> None:
    """Print an explanation for people."""
    decision = explanation.decision
    lines = {"input": explanation.input, "decision": decision.reason}
    if decision.match:
        edit = decision.match.edit
        lines["edit"] = f"{edit.id}: {edit.prompt} → {edit.target}"
    best = decision.nearest[0] if decision.nearest else None
    if best:
        lines["score"] = f"{best.score:.3f} (threshold {decision.threshold:g}, margin {explanation.margin:+.3f})"
    runner = explanation.runner_up
    if runner:
        lines["runner-up"] = f"{runner.score:.3f} {runner.edit.id}: {short(runner.edit.prompt)} → {runner.edit.target}"
    lines["base says"] = base
    lines["edited"] = answer if decision.match else "(the base's own words)"
    for name, value in lines.items():
        click.echo(f"{name:<10} {value}")
    if decision.nearest:
        click.echo("")
        _matches("nearest edits", [(match, "") for match in decision.nearest])
    if explanation.inactive:
        click.echo("")
        _matches("would fire, but cannot", [(item.match, item.reason) for item in explanation.inactive])
    for advice in explanation.advice:
        click.echo(f"→ {advice}")


def _matches(title: str, matches: list[tuple[Match, str]]) -> None:
    with_reason = any(reason for _, reason in matches)
    table(
        ("score", "id", "prompt", "target", *(("reason",) if with_reason else ())),
        [(f"{match.score:.3f}", match.edit.id, short(match.edit.prompt), short(match.edit.target, 30),
          *((reason,) if with_reason else ())) for match, reason in matches],
        title=title,
    )  # fmt: skip


def explain_one(editor: Serac, text: str) -> None:
    """Explain an input of an interactive session."""
    answer = editor.generate([text])[0].text
    show(editor.explain(text), answer=answer, base=editor.model.generate([text])[0])
