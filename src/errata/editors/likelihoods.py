"""How likely answers are to an editor, by teacher forcing: who answers an input is asked, along the editor's one path.

In scope that is the counterfactual model under the edit, out of scope the base model. Likelihoods over two vocabularies
are never compared. Nothing is scored here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from errata.counterfactual import Counterfactual, OpenCounterfactual, check_pairs
from errata.counterfactual.retell import Retell, Retold
from errata.edit import Edit
from errata.errors import UnsupportedModel
from errata.models import Model, OpenModel

if TYPE_CHECKING:
    from errata.editors.serac import Serac

REMEDY = "take a local model that writes its answers (encoder-decoder or causal)"
"""What to do where a part tells no likelihoods."""


def open_base(model: Model, remedy: str = REMEDY) -> OpenModel:
    """The base model, if it tells likelihoods.

    Args:
        model: any base model.
        remedy: what to do if not.

    Raises:
        UnsupportedModel: it does not (a remote model, a classifier of claims).
    """
    if not _tells(model):
        raise UnsupportedModel(f"{model.name} does not tell how likely a reply is; {remedy}")
    return model


def open_counterfactual(counterfactual: Counterfactual, base: Model, remedy: str = REMEDY) -> OpenCounterfactual:
    """What answers in scope, if it tells likelihoods; where the base is told the edit, the base under that telling.

    Raises:
        UnsupportedModel: it does not (the reader, the verifier).
    """
    if isinstance(counterfactual, Retell) and counterfactual.system is None:  # another system text is not scored
        return Retold(counterfactual, open_base(base, remedy))
    if not _answers(counterfactual):
        raise UnsupportedModel(f"{type(counterfactual).__name__} does not tell how likely a reply is; {remedy}")
    return counterfactual


def share_vocabulary(base: OpenModel, counterfactual: OpenCounterfactual, remedy: str = REMEDY) -> None:
    """Refuse parts whose likelihoods cannot be compared token by token.

    Raises:
        UnsupportedModel: their vocabularies differ.
    """
    if base.tokenizer.get_vocab() != counterfactual.tokenizer.get_vocab():
        raise UnsupportedModel(
            f"{base.name} and its counterfactual model have different vocabularies, so a token's likelihood"
            f" to one cannot be compared with its likelihood to the other; {remedy}"
        )


def log_probs(editor: Serac, inputs: Sequence[str], targets: Sequence[str], *, whole: bool) -> list[Any]:
    """How likely targets are to an editor with a memory.

    Args:
        editor: the editor; each input takes its one path.
        inputs: n texts.
        targets: n answers.
        whole: whether the whole vocabulary is told, and not the targets' tokens alone.

    Returns:
        As `OpenEditor.token_log_probs` where `whole`, else as `target_log_probs`.

    Raises:
        UnsupportedModel: who answers tells no likelihoods, or the two vocabularies differ.
    """
    texts, name = check_pairs(inputs, targets, "targets"), "token_log_probs" if whole else "target_log_probs"
    fired: list[Edit | None] = [one.match.edit if one.match else None for one in editor.decide(texts)]
    base, found = open_base(editor.model), dict[int, Any]()
    if missed := [at for at, edit in enumerate(fired) if edit is None]:
        said = getattr(base, name)([texts[at] for at in missed], [targets[at] for at in missed])
        found.update(zip(missed, said, strict=True))
    if hits := [(at, edit) for at, edit in enumerate(fired) if edit is not None]:
        under = open_counterfactual(editor.counterfactual, editor.model)
        share_vocabulary(base, under)
        told = [texts[at] for at, _ in hits], [edit for _, edit in hits], [targets[at] for at, _ in hits]
        found.update(zip([at for at, _ in hits], getattr(under, name)(*told), strict=True))
    return [found[at] for at in range(len(texts))]


def _tells(model: Model) -> TypeGuard[OpenModel]:
    return _has_likelihoods(model)


def _answers(counterfactual: Counterfactual) -> TypeGuard[OpenCounterfactual]:
    return _has_likelihoods(counterfactual)


def _has_likelihoods(part: object) -> bool:
    return all(hasattr(part, name) for name in ("tokenizer", "target_log_probs", "token_log_probs"))
