"""Every error errata raises on purpose.

    ErrataError
      + EditError (also ValueError)      an edit or an input is empty, over-long, of the wrong type, or its id unknown
        - ConflictError                  the id is taken by another text, or the edit contradicts one in force
          . OutdatedError                somebody changed the memory since the change was thought out
        - UnsupportedEdit                this counterfactual model cannot answer such an edit
      + StoreError                       the memory's file cannot be read or written
        - EncoderMismatch                the vectors were made by another scope model
      + ModelError                       a model could not be loaded or failed to answer
        - UpstreamError                  a remote model answered with an error (status, body, request id)
        - UnsupportedModel               the method needs weights and the base model is a black box
      + AccessError                      the service refuses a request (status, code)
      + ConfigError                      a setting is unknown or its value is not accepted
      + MissingExtra (also ImportError)  an optional dependency is not installed

The command line turns each into one line on stderr and an exit code; nothing else in errata decides how an error looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ErrataError(Exception):
    """Base of every error raised by errata; catch it to catch them all."""


class EditError(ErrataError, ValueError):
    """An edit descriptor, an input or an edit id that cannot be used as given."""


class ConflictError(EditError):
    """The change contradicts what the memory already holds."""


class OutdatedError(ConflictError):
    """Somebody else changed the memory, or this edit of it, since the change was thought out."""


class UnsupportedEdit(EditError):
    """The counterfactual model at hand cannot answer under such an edit."""


class StoreError(ErrataError):
    """The memory could not be read or written; what was acknowledged before is still there."""


class EncoderMismatch(StoreError):
    """Vectors and scope model do not belong together."""


class ModelError(ErrataError):
    """A model could not be loaded, or failed while answering."""


class UpstreamError(ModelError):
    """A remote model answered with an error, or did not answer.

    Attributes:
        status: HTTP status, or None when no response came.
        body: the response's text, cut to 2,000 characters.
        request_id: the upstream's `x-request-id` header, or "".
    """

    def __init__(self, message: str, *, status: int | None = None, body: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body = body[:2000]
        self.request_id = request_id


class UnsupportedModel(ModelError):
    """The method needs weights or likelihoods, and the base model does not show them."""


class AccessError(ErrataError):
    """The service refuses a request: no such thing, no right to it, too large, too often.

    Attributes:
        status: HTTP status.
        code: what OpenAI's error bodies call it.
        retry_after: seconds to wait, where that helps; 0 where it does not.
    """

    def __init__(self, message: str, *, status: int = 403, code: str = "forbidden", retry_after: int = 0) -> None:
        super().__init__(message)
        self.status, self.code, self.retry_after = status, code, retry_after


class ConfigError(ErrataError):
    """A setting that is unknown or has a value that is not accepted.

    Args:
        message: what is wrong.
        where: the file or option that holds it.
        key: the offending key.
        accepted: the keys or values that would have been accepted; the nearest is suggested.
    """

    def __init__(self, message: str, *, where: str = "", key: str = "", accepted: Iterable[str] = ()) -> None:
        self.where, self.key, self.accepted = where, key, tuple(accepted)
        near = get_close_matches(key, self.accepted, n=1)
        parts = [f"{where}: {message}" if where else message]
        if near:
            parts.append(f"did you mean {near[0]!r}?")
        elif self.accepted:
            parts.append(f"accepted: {', '.join(self.accepted)}")
        super().__init__("; ".join(parts))


class MissingExtra(ErrataError, ImportError):
    """An optional dependency is missing; the message says which extra installs it."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"{module} is not installed; run: pip install 'errata[{extra}]'")
        self.module, self.extra = module, extra
