"""The options that verbs share, and what they open: the memory, and the editor in front of the base model.

Verbs that need no network open the memory alone. The base model is loaded when it is first asked, so `add` and `check`
never load it. Nothing here prints.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from errata.errors import ConfigError, EditError, UnsupportedEdit
from errata.settings import default_memory

if TYPE_CHECKING:
    from errata.edit import Edit, Revision
    from errata.editors.serac import Serac
    from errata.memory import Memory
    from errata.memory.store import SqlMemory
    from errata.models import Model

DEFAULT_SPACE = "default"
SCOPES = ("cascade", "dual", "cross")
RUNTIMES = ("auto", "onnx", "onnx-fp32", "torch")

Verb = TypeVar("Verb", bound=Callable[..., Any])


class LateModel:
    """A base model that is loaded when it is first asked (implements `errata.models.Model`).

    Args:
        name: as `errata.load_model` takes it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._model: Model | None = None

    @property
    def name(self) -> str:
        """How logs and results call it."""
        return self._name

    def load(self) -> Model:
        """The model itself (ModelError when it cannot be loaded)."""
        if self._model is None:
            from errata.models.load import load_model

            self._model = load_model(self._name)
        return self._model

    def generate(self, prompts: Sequence[str], **options: Any) -> list[str]:
        """See Model."""
        return self.load().generate(prompts, **options)


@dataclass(slots=True)
class Session:
    """What the shared options say, and what is open.

    Args:
        url: the memory's path or URL; "" for the default one.
        json: whether to print JSON.
        given_space: the space named by the user, or None.
        model, scope, counterfactual, runtime: names, as `errata.wrap` takes them.
    """

    url: str = ""
    json: bool = False
    given_space: str | None = None
    model: str = "mini"
    scope: str = "cascade"
    counterfactual: str = "reader"
    runtime: str = "auto"
    _opened: SqlMemory | None = field(default=None, repr=False)

    @property
    def space(self) -> str:
        """The space that is meant."""
        return self.given_space or DEFAULT_SPACE

    def memory(self) -> SqlMemory:
        """The memory, opened once; made when it is not there."""
        if self._opened is None:
            from errata.memory.sqlite import open_memory

            self._opened = open_memory(self.url or default_memory())
        return self._opened

    def editor(self, memory: Memory | None = None) -> Serac:
        """The editor over the memory; its base model is loaded when it is first asked."""
        quiet()
        from errata.editors.serac import wrap

        return wrap(
            LateModel(self.model),
            memory=self.memory() if memory is None else memory,
            scope=self.scope,
            counterfactual=self.counterfactual,
            runtime=self.runtime,
            space=self.space,
        )

    def encoder(self) -> Serac:
        """An editor that only encodes and stores edits: the dual network is all it loads."""
        quiet()
        from errata.editors.serac import wrap

        return wrap(
            LateModel(self.model),
            memory=self.memory(),
            scope="dual" if self.scope == "cascade" else self.scope,  # both have the same vectors
            counterfactual="retell",  # loads nothing
            runtime=self.runtime,
            space=self.space,
        )

    def check_target(self, edit: Edit) -> None:
        """Refuse an edit without a target unless the base model is told edits in words.

        Raises:
            UnsupportedEdit: the reader cannot answer it.
        """
        if not edit.target.strip() and self.counterfactual == "reader":
            raise UnsupportedEdit(
                "an edit without a target needs --counterfactual retell, which tells the base model the edit in words,"
                " or verifier, which says whether a claim is true under it; the reader answers with words of a target"
            )

    def stored(self, id: str) -> Revision:
        """The newest revision of an edit; of the space given, if one is.

        Raises:
            EditError: there is none, or it lives in another space than the one given.
        """
        revision = self.memory().get(id)
        if self.given_space is not None and revision.edit.space != self.given_space:
            raise EditError(
                f"edit {revision.edit.id} is in the space {revision.edit.space!r}, not {self.given_space!r}"
            )
        return revision

    def close(self) -> None:
        """Close what is open."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None


def quiet() -> None:
    """Keep the progress bars and reports of other libraries off the terminal, unless ERRATA_DEBUG is set."""
    if os.environ.get("ERRATA_DEBUG"):
        return
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for name in ("onnxruntime.quantization", "onnxruntime.quantization.matmul_nbits_quantizer"):
        logging.getLogger(name).setLevel(logging.ERROR)


def parse_moment(text: str, what: str) -> datetime:
    """A moment in ISO form; one without a time zone is local time.

    Raises:
        ConfigError: it is no moment.
    """
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"{what} must be a moment such as 2026-01-31 or 2026-01-31T12:00:00+00:00, not {text!r}"
        ) from error


_MEMORY = (
    click.option("--memory", "url", envvar="ERRATA_MEMORY", default="", metavar="URL",
                 help="File or sqlite URL of the memory (or ERRATA_MEMORY); errata.db in your data folder otherwise."),
    click.option("--space", envvar="ERRATA_SPACE", default=None, metavar="NAME",
                 help="The tenant (or ERRATA_SPACE); 'default' otherwise."),
)  # fmt: skip
_PART_NAMES = ("model", "scope", "counterfactual", "runtime")
_JSON = (click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs."),)
_PARTS = (
    click.option("--model", envvar="ERRATA_MODEL", default="mini", show_default=True, metavar="NAME",
                 help="The base model (or ERRATA_MODEL): mini, fc, lot, echo, a folder, a hub id, an http(s) URL."),
    click.option("--scope", type=click.Choice(SCOPES), default="cascade", show_default=True,
                 help="The scope classifier."),
    click.option("--counterfactual", default="reader", show_default=True, metavar="NAME",
                 help="What answers in scope: reader, retell, verbatim, verifier, or a seq2seq model's folder or id."),
    click.option("--runtime", type=click.Choice(RUNTIMES), default="auto", show_default=True,
                 help="What runs the trained parts."),
)  # fmt: skip


def shared(*, memory: bool = True, parts: bool = False) -> Callable[[Verb], Verb]:
    """Give a verb the shared options; it receives a Session as its first argument.

    Args:
        memory: whether it uses the memory (--memory, --space).
        parts: whether it uses models (--model, --scope, --counterfactual, --runtime).
    """

    def decorate(verb: Verb) -> Verb:
        @functools.wraps(verb)
        def run(*args: Any, url: str = "", space: str | None = None, as_json: bool = False, **rest: Any) -> Any:
            names = {name: rest.pop(name) for name in (_PART_NAMES if parts else ())}
            session = Session(url, as_json, space, **names)
            try:
                return verb(session, *args, **rest)
            finally:
                session.close()

        options = [*(_MEMORY if memory else ()), *(_PARTS if parts else ()), *_JSON]
        wrapped: Any = run
        for option in reversed(options):
            wrapped = option(wrapped)
        return cast(Verb, wrapped)

    return decorate


def read_lines(name: str) -> list[str]:
    """The lines of a file, or of the standard input for "-".

    Raises:
        ConfigError: it is not UTF-8 text.
    """
    try:
        if name == "-":
            return sys.stdin.read().splitlines()
        return Path(name).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name} is not UTF-8 text", where=name) from error
