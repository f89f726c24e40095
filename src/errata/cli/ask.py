"""`errata ask`: one question, questions from the standard input, or an interactive session."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from errata.cli.change import told
from errata.cli.output import emit, revisions_table, short
from errata.cli.session import Session, shared
from errata.cli.why import explain_one, show
from errata.edit import Answer, Edit
from errata.editors.documents import answer_document, explanation_document
from errata.errors import EditError, ErrataError

if TYPE_CHECKING:
    from errata.editors.serac import Serac

AT_ONCE = 16
"""Questions of the standard input that are answered together."""

HELP = """\
  /why [QUESTION]              why the last question (or this one) was answered so
  /add ANSWER                  correct the last question: this is its answer
  /add "QUESTION" "ANSWER"     add an edit
  /undo                        take back the newest change
  /list                        the edits of this space
  /help                        this
  /quit                        the end (or Ctrl-D)"""


@click.command("ask")
@click.argument("question", required=False, default=None)
@click.option("--why", is_flag=True, help="Tell why it was answered so, too.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=None, help="Most tokens the base may write.")
@shared(parts=True)
def ask_verb(session: Session, question: str | None, why: bool, max_new_tokens: int | None) -> None:
    """Ask the edited model QUESTION; "-" reads questions from the standard input, one a line.

    Without QUESTION an interactive session begins. The answer is on stdout; which edit answered, if any, on stderr.
    """
    options: dict[str, Any] = {} if max_new_tokens is None else {"max_new_tokens": max_new_tokens}
    if question is None:
        if session.json:
            raise EditError('--json needs a QUESTION, or "-" for questions from the standard input')
        _Interactive(session, session.editor(), options).run()
        return
    editor = session.editor()
    for text in _lines() if question == "-" else iter([[question]]):
        for asked, answer in zip(text, editor.generate(text, **options), strict=True):
            _tell(session, editor, asked, answer, why=why)


def _lines() -> Iterator[list[str]]:
    """The questions of the standard input, a few at once; one at once when it is a terminal."""
    texts = (line.strip() for line in sys.stdin if line.strip())
    size = 1 if sys.stdin.isatty() else AT_ONCE
    while part := list(islice(texts, size)):
        yield part


def _tell(session: Session, editor: Serac, question: str, answer: Answer, *, why: bool) -> None:
    if session.json:
        said = answer_document(question, answer)
        if why:
            base = editor.model.generate([question])[0]
            said["why"] = explanation_document(editor.explain(question), answer=answer.text, base=base)
        emit(said)
        return
    click.echo(answer.text)
    if why:
        show(editor.explain(question), answer=answer.text, base=editor.model.generate([question])[0])
    elif answer.edited:
        click.echo(_which(answer), err=True)


def _which(answer: Answer) -> str:
    match = answer.decision.match
    if match is None:
        return ""
    return f"  (edit {match.edit.id}, {match.score:.3f}: {short(match.edit.prompt)})"


@dataclass
class _Interactive:
    """A session at the terminal."""

    session: Session
    editor: Serac
    options: dict[str, Any]
    last: str = ""
    commands: dict[str, Callable[[str], None]] = field(init=False)

    def __post_init__(self) -> None:
        self.commands = {"why": self._why, "add": self._add, "undo": self._undo, "list": self._list, "help": self._help}

    def run(self) -> None:
        """Read a line, answer it, until the end."""
        if sys.stdin.isatty():
            _line_editing()
        held = len(self.session.memory().list(space=self.session.space))
        click.echo(f"{self.editor.model.name} with {held} edits of the space {self.session.space!r}; /help, /quit")
        while True:
            try:
                line = click.prompt("ask", prompt_suffix="> ", default="", show_default=False).strip()
            except (click.Abort, EOFError):
                click.echo("")
                return
            if line in ("/quit", "/exit", "/q"):
                return
            if not line:
                continue
            try:
                self._do(line)
            except ErrataError as error:
                click.echo(f"error: {error}", err=True)

    def _do(self, line: str) -> None:
        if not line.startswith("/"):
            answer = self.editor.generate([line], **self.options)[0]
            self.last = line
            click.echo(answer.text + _which(answer))
            return
        name, _, rest = line[1:].partition(" ")
        if name not in self.commands:
            raise EditError(f"there is no /{name}; /help lists what there is")
        self.commands[name](rest.strip())

    def _why(self, rest: str) -> None:
        text = rest or self.last
        if not text:
            raise EditError("ask something first, or /why QUESTION")
        explain_one(self.editor, text)

    def _add(self, rest: str) -> None:
        from errata.editors.preflight import check_edit

        prompt, target = self._parts(rest)
        edit = Edit(prompt=prompt, target=target, space=self.session.space)
        found = check_edit(self.editor, edit)
        for problem in found.problems:
            click.echo(f"  pre-flight: {problem}")
        if found.contradictions and not click.confirm("Store it all the same?", default=False):
            return
        before = self.session.memory().revision
        told(self.editor.add(edit)[0], before, False)

    def _parts(self, rest: str) -> tuple[str, str]:
        try:
            words = shlex.split(rest)
        except ValueError:  # an apostrophe in an answer is no quotation mark
            words = [rest]
        if len(words) == 2 and rest[:1] in "\"'":
            return words[0], words[1]
        if not rest or not self.last:
            raise EditError('/add ANSWER corrects the last question; or say /add "QUESTION" "ANSWER"')
        return self.last, words[0] if len(words) == 1 else rest

    def _undo(self, rest: str) -> None:
        memory = self.session.memory()
        newest = list(memory.history(after=max(0, memory.revision - 1)))
        if newest and newest[0].edit.space != self.session.space:
            name = newest[0].edit.space
            raise EditError(f"the newest change belongs to the space {name!r}; errata undo takes it back")
        before = memory.revision
        for revision in memory.undo():
            told(revision, before, False)

    def _list(self, rest: str) -> None:
        found = self.session.memory().list(space=self.session.space)
        if found:
            revisions_table(found)
        else:
            click.echo("no edits")

    def _help(self, rest: str) -> None:
        click.echo(HELP)


def _line_editing() -> None:
    """Arrow keys and the history of this session, where Python has readline."""
    try:
        import readline
    except ImportError:
        return
    readline.set_history_length(1000)
