"""SERAC: a memory of edits, a scope classifier and a counterfactual model around a frozen base (Mitchell et al., 2022).

This is the one path of errata: encode the input, search the memory, judge the candidates, then the counterfactual
model or the base model's own words. The Python API, the command line, the experiments and the service all take it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from errata import zoo
from errata.counterfactual import Counterfactual
from errata.counterfactual.reader import Reader
from errata.counterfactual.verifier import Verifier
from errata.edit import Answer, Decision, Edit, Match, Revision, Terms, check_text
from errata.editors import likelihoods, remembered
from errata.editors.explain import Explanation, explain
from errata.editors.retrieving import retrieve
from errata.errors import ConfigError, EditError, ErrataError, StoreError
from errata.memory import Memory, Moment
from errata.memory.overlay import OverlayMemory
from errata.memory.sqlite import SqliteMemory, open_memory
from errata.models import Model
from errata.scope import Scope

log = logging.getLogger(__name__)

THRESHOLD = 0.5
"""In scope means a score of at least this (SERAC, Equation 1), unless the space has a threshold of its own."""
EVERY = 1_000_000
"""Candidates asked for when a scope wants all of them."""
SHOWN = 6
"""Candidates a decision keeps."""
ENCODED_AT_ONCE = 512
VERIFIER = "verifier:"
"""Before the folder or hub id of a pair network that answers as a verifier."""
CLAIMS: Mapping[str, Any] = {"k": 32, "floor": 0.001, "after": 0.0}
"""The cascade in front of a verifier: its first stage knows questions better than claims, so it passes on more of them.
Where no more than `k` edits are in memory, all are candidates."""

OnError = Literal["raise", "base"]


class Serac:
    """The semi-parametric editor (SERAC, Equation 1).

    Args:
        model: the frozen base model.
        scope: the scope classifier; None loads the shipped cascade.
        counterfactual: what answers in scope; None loads the shipped reader.
        memory: the edits; None starts an empty one in this process.
        space: the tenant whose edits apply.
        threshold: in scope means score >= threshold; None takes the space's own, or 0.5.
        on_error: whether a failure of scope or counterfactual is raised, or counted in `failures` and left to the base.

    Raises:
        StoreError: the memory cannot be read.
        ModelError: a trained part cannot be loaded.

    Example:
        >>> editor = Serac(EchoModel())  # doctest: +SKIP
        >>> edited = editor.edit(Edit(prompt="What is the capital of Kazakhstan?", target="Astana"))  # doctest: +SKIP
        >>> edited.generate(["Kazakhstan's capital is what?"])[0].text  # doctest: +SKIP
        'Astana'
    """

    name: ClassVar[str] = "serac"
    kept: ClassVar[tuple[str, ...]] = remembered.KEPT

    def __init__(
        self,
        model: Model,
        *,
        scope: Scope | None = None,
        counterfactual: Counterfactual | None = None,
        memory: Memory | None = None,
        space: str = "default",
        threshold: float | None = None,
        on_error: OnError = "raise",
    ) -> None:
        if on_error not in ("raise", "base"):
            raise ConfigError(f"on_error {on_error!r} is not known", key=str(on_error), accepted=("raise", "base"))
        if threshold is not None and not 0.0 <= threshold <= 1.0:
            raise ConfigError(f"threshold must lie between 0 and 1, not {threshold!r}", key="threshold")
        self.model = model
        self.scope = scope if scope is not None else _shipped_scope()
        self.counterfactual = counterfactual if counterfactual is not None else Reader.from_pretrained()
        self.memory: Memory = memory if memory is not None else SqliteMemory(":memory:")
        self.space = check_text(space, "space")
        self._threshold = threshold
        self.on_error: OnError = on_error
        self.failures: Counter[str] = Counter()
        self._encode_missing()

    def _encode_missing(self) -> None:
        """Give vectors of this scope model to edits that have none yet: each edit is encoded once, ever."""
        missing = self.memory.bind(self.scope.fingerprint, self.scope.dimension)
        for begin in range(0, len(missing), ENCODED_AT_ONCE):
            part = missing[begin : begin + ENCODED_AT_ONCE]
            self.memory.put_vectors(part, self.scope.encode_edits(part))

    @property
    def threshold(self) -> float:
        """The threshold in force: the editor's, else the space's, else 0.5."""
        return self.threshold_of(self.space)

    def threshold_of(self, space: str) -> float:
        """The threshold in force in a space."""
        if self._threshold is not None:
            return self._threshold
        own = self.memory.threshold(space)
        return THRESHOLD if own is None else own

    # edits

    def edit(self, *edits: Edit) -> Self:
        """A new editor with these edits in force on top of this one's; nothing is stored, this editor stays as it is.

        Raises:
            EditError: an edit is not an Edit.
            UnsupportedEdit: the counterfactual model cannot answer such an edit.
        """
        self._check(edits)
        parent = self.memory if isinstance(self.memory, OverlayMemory) else OverlayMemory(self.memory)
        return self._over(parent.with_edits(list(edits), self.scope.encode_edits(edits)))

    def without(self, *ids: str) -> Self:
        """A new editor in which these edits are not in force."""
        parent = self.memory if isinstance(self.memory, OverlayMemory) else OverlayMemory(self.memory)
        return self._over(parent.without(list(ids)))

    def checkout(self, at: Moment) -> Self:
        """The editor as it was at a revision or a moment; read-only, and this one stays as it is.

        Raises:
            StoreError: the memory keeps no past (an overlay), or knows no such revision.
        """
        look_back = getattr(self.memory, "checkout", None)
        if look_back is None:
            raise StoreError("edits made with edit() keep no past; look back at the memory they lie on")
        past = look_back(at)
        missing = past.bind(self.scope.fingerprint, self.scope.dimension)
        for begin in range(0, len(missing), ENCODED_AT_ONCE):  # texts of then that have no vector now
            part = missing[begin : begin + ENCODED_AT_ONCE]
            self.memory.put_vectors(part, self.scope.encode_edits(part))
        return self._over(past)

    def _over(self, memory: Memory) -> Self:
        return type(self)(
            self.model,
            scope=self.scope,
            counterfactual=self.counterfactual,
            memory=memory,
            space=self.space,
            threshold=self._threshold,
            on_error=self.on_error,
        )

    def add(self, *edits: Edit, terms: Terms | Sequence[Terms] | None = None) -> list[Revision]:
        """Store edits in the memory; when it returns they are in force and survive a power cut.

        Raises:
            EditError, UnsupportedEdit, ConflictError: an edit cannot be taken as it is; none is.
            StoreError: the memory could not be written; none is stored.
        """
        self._check(edits)
        options = {} if terms is None else {"terms": terms}
        return self.memory.add(list(edits), self.scope.encode_edits(edits), **options)

    def replace(self, edit: Edit, *, terms: Terms | None = None) -> Revision:
        """Give the stored edit of this id another text; errors as for `add`."""
        self._check([edit])
        return self.memory.replace(edit, self.scope.encode_edits([edit]), terms=terms)

    def _check(self, edits: Sequence[Edit]) -> None:
        for edit in edits:
            if not isinstance(edit, Edit):
                raise EditError(
                    f"an edit must be an errata.Edit, not {type(edit).__name__}; say Edit(prompt=..., target=...)"
                )
            self.counterfactual.check(edit)

    # inputs

    def decide(self, inputs: Sequence[str], *, space: str | None = None, at: datetime | None = None) -> list[Decision]:
        """Which edit, if any, each input is in the scope of (SERAC, Equation 1).

        Args:
            inputs: texts.
            space: the tenant; the editor's own by default.
            at: the moment whose edits count; now by default.

        Raises:
            EditError: an input is empty, binary or far too long.
        """
        if isinstance(inputs, str):
            raise EditError("inputs must be a sequence of texts; put a single one in a list")
        for text in inputs:
            check_text(text, "input")
        where = self.space if space is None else space
        threshold = self.threshold_of(where)
        if not inputs:
            return []
        try:
            search = partial(self.memory.search, space=where, at=at)
            candidates = retrieve(self.scope, search, inputs, self.scope.k or EVERY)
            judged = self.scope.judge(inputs, candidates)
        except StoreError:
            raise
        except Exception as error:
            return [self._failed("scope", error, threshold) for _ in inputs]
        return [decision(row, threshold) for row in judged]

    def generate(
        self, inputs: Sequence[str], *, space: str | None = None, at: datetime | None = None, **options: Any
    ) -> list[Answer]:
        """Answer each input: under the edit whose scope it is in, else in the base model's own words.

        Args:
            inputs: texts.
            space: the tenant; the editor's own by default.
            at: the moment whose edits count; now by default.
            options: go to the base model (`max_new_tokens`, ...).

        Raises:
            EditError: an input is empty, binary or far too long.
            ModelError: the base model, or with on_error="raise" another part, failed.
        """
        decisions = self.decide(inputs, space=space, at=at)
        texts: dict[int, str] = {}
        hits = [row for row, one in enumerate(decisions) if one.match]
        matches = [one.match for one in decisions if one.match]
        if hits:
            try:
                said = self.counterfactual.respond([inputs[row] for row in hits], matches, self.model, **options)
                texts.update(zip(hits, said, strict=True))
            except Exception as error:
                for row in hits:
                    decisions[row] = self._failed("counterfactual", error, decisions[row].threshold)
        misses = [row for row in range(len(decisions)) if row not in texts]
        if misses:
            said = self.model.generate([inputs[row] for row in misses], **options)
            texts.update(zip(misses, said, strict=True))
        return [Answer(texts[row], one) for row, one in enumerate(decisions)]

    def _failed(self, part: str, error: Exception, threshold: float) -> Decision:
        if self.on_error == "raise":
            if isinstance(error, ErrataError):
                raise error
            raise ErrataError(f"the {part} failed: {type(error).__name__}: {error}") from error
        self.failures[part] += 1
        log.warning("the %s failed, the base model answers: %s: %s", part, type(error).__name__, error)
        return Decision(None, threshold, (), f"the {part} failed ({type(error).__name__}), so the base model answered")

    def token_log_probs(self, inputs: Sequence[str], targets: Sequence[str]) -> list[Any]:
        """See `errata.editors.OpenEditor`: in scope the counterfactual model's under the edit, else the base's."""
        return likelihoods.log_probs(self, inputs, targets, whole=True)

    def target_log_probs(self, inputs: Sequence[str], targets: Sequence[str]) -> list[Any]:
        """See `errata.editors.OpenEditor`: in scope the counterfactual model's under the edit, else the base's."""
        return likelihoods.log_probs(self, inputs, targets, whole=False)

    def explain(self, text: str, *, space: str | None = None, at: datetime | None = None) -> Explanation:
        """Why an edit fired for this input, or why none did, and what would change that."""
        return explain(self, text, space=self.space if space is None else space, at=at)

    def save(self, folder: str | Path) -> Path:
        """Write the editor (settings, trained parts, edits) into a folder that `errata.load` reads."""
        from errata.editors.saving import save

        return save(self, Path(folder))

    def keep(self, folder: Path) -> dict[str, Any]:
        """Write parts and edits into a new folder; returns what else there is to tell, as JSON has it."""
        return remembered.keep(self, folder)

    @classmethod
    def restored(cls, told: Mapping[str, Any], folder: Path, model: Model, runtime: str) -> Self:
        """The editor that `keep` was asked about.

        Raises:
            ModelError, StoreError: a part or the edits cannot be loaded.
            ConfigError: a part is of no known kind.
        """
        return cls(model, **remembered.parts(told, folder, model, runtime))


def decision(judged: Sequence[Match], threshold: float) -> Decision:
    """Equation 1: the best candidate answers if its score reaches the threshold."""
    if not judged:
        return Decision(None, threshold, (), "no edit in force is near this input")
    best, nearest = judged[0], tuple(judged[:SHOWN])
    if best.score >= threshold:
        return Decision(
            best,
            threshold,
            nearest,
            f"in the scope of edit {best.edit.id} ({best.score:.3f} ≥ {threshold:g})",
        )
    return Decision(
        None,
        threshold,
        nearest,
        f"out of scope: the nearest edit, {best.edit.id}, scores {best.score:.3f} < {threshold:g}",
    )


def _shipped_scope() -> Scope:
    from errata.scope.cascade import CascadeScope

    return CascadeScope.from_pretrained()


def wrap(
    model: Model | str = "mini",
    *,
    memory: Memory | str | Path | None = None,
    scope: Scope | str | None = None,
    counterfactual: Counterfactual | str | None = None,
    runtime: str = "auto",
    **options: Any,
) -> Serac:
    """Put an errata sheet in front of a model.

    Args:
        model: a Model, or its name: "mini" or "fc" (bundled), a path, a hub id, an http(s) URL, "echo".
        memory: a Memory, or a file path or sqlite URL; None keeps edits in this process only.
        scope: a Scope, or "cascade", "dual" or "cross"; cascade and cross read with a verifier's network
            where one answers.
        counterfactual: a Counterfactual, or a name as `make_counterfactual` takes it.
        runtime: what runs the shipped networks; see `errata.models.runtime.open_runtime`.
        options: go to Serac (space, threshold, on_error).

    Raises:
        ConfigError: a name is not known.
        ModelError, StoreError: a part cannot be loaded.

    Example:
        >>> editor = wrap("mini")  # doctest: +SKIP
    """
    from errata.models.load import load_model

    if counterfactual is None or isinstance(counterfactual, str):
        counterfactual = make_counterfactual(counterfactual, runtime)
    return Serac(
        load_model(model) if isinstance(model, str) else model,
        scope=make_scope(scope, runtime, counterfactual) if scope is None or isinstance(scope, str) else scope,
        counterfactual=counterfactual,
        memory=open_memory(memory) if isinstance(memory, str | Path) else memory,
        **options,
    )


def make_scope(name: str | None, runtime: str = "auto", counterfactual: Counterfactual | None = None) -> Scope:
    """The scope classifier of a name.

    Args:
        name: "cascade" (or None), "dual", "cross".
        runtime: see `errata.models.runtime.open_runtime`.
        counterfactual: what answers; cross and cascade read with the network of a verifier, which then reads each pair
            of input and edit once, and otherwise with the shipped one.

    Raises:
        ConfigError: the name is not known.
        ModelError: a part cannot be loaded.
    """
    verifier = counterfactual if isinstance(counterfactual, Verifier) else None
    if name in (None, "cascade"):
        from errata.scope.cascade import CascadeScope

        if verifier:
            return CascadeScope.from_pretrained(pair=verifier.folder, runtime=runtime, **CLAIMS)
        return CascadeScope.from_pretrained(runtime=runtime)
    if name == "dual":
        from errata.scope.dual import DualScope

        return DualScope.from_pretrained(runtime=runtime)
    if name == "cross":
        from errata.scope.cross import CrossScope

        return CrossScope.from_pretrained(verifier.folder if verifier else "pair", runtime=runtime)
    raise ConfigError(f"scope {name!r} is not known", key=str(name), accepted=("cascade", "dual", "cross"))


def make_counterfactual(name: str | None, runtime: str = "auto") -> Counterfactual:
    """The counterfactual model of a name.

    Args:
        name: "reader" (or None), "retell", "verbatim", "dialogue", "verifier", "verifier:" and the folder or hub id of
            a pair network trained for it, or the folder or hub id of a seq2seq model.
        runtime: see `errata.models.runtime.open_runtime`.

    Raises:
        ModelError: it cannot be loaded.
    """
    if name in (None, "reader"):
        return Reader.from_pretrained(runtime=runtime)
    if name == "verifier" or str(name).startswith(VERIFIER):
        return Verifier.from_pretrained(str(name).removeprefix(VERIFIER), runtime=runtime)
    if name == "retell":
        from errata.counterfactual.retell import Retell

        return Retell()
    if name == "verbatim":
        from errata.counterfactual.verbatim import Verbatim

        return Verbatim()
    from errata.counterfactual.seq2seq import Seq2SeqCounterfactual

    if name == "dialogue":
        from errata.models.load import TALK

        return Seq2SeqCounterfactual.from_pretrained(zoo.path("dialogue"), name="dialogue", **TALK)
    return Seq2SeqCounterfactual.from_pretrained(str(name))
