"""What is sent to /v1/edits, and what of it is accepted."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from errata.edit import MAX_NAME, MAX_TEXT, Edit, Terms
from errata.errors import EditError

MOST = 1_000
"""Edits of one request, and rows of one page."""
TAKEN = frozenset(("diff", "export", "history"))
"""Ids that no edit may be added with here: /v1/edits/diff is no edit."""


class NewEdit(BaseModel):
    """An edit as it is sent."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = Field(min_length=1, max_length=MAX_TEXT)
    target: str = Field(default="", max_length=MAX_TEXT)
    id: str = Field(default="", max_length=MAX_NAME)
    space: str = Field(default="", max_length=MAX_NAME)
    meta: dict[str, str] = Field(default_factory=dict)
    source: str = Field(default="", max_length=MAX_TEXT)
    note: str = Field(default="", max_length=MAX_TEXT)
    tags: list[str] = Field(default_factory=list, max_length=100)
    valid_from: datetime | None = None
    expires: datetime | None = None
    enabled: bool = True

    def edit(self, space: str, id: str = "") -> Edit:
        """The edit itself.

        Raises:
            EditError: a field cannot be used as given.
        """
        if self.id in TAKEN:
            raise EditError(f"the id {self.id!r} is the name of a route of this service; give another one, or none")
        return Edit(prompt=self.prompt, target=self.target, id=id or self.id, space=self.space or space, meta=self.meta)

    def terms(self, author: str) -> Terms:
        """Its terms; the author is who sent it."""
        return Terms(
            author=author, source=self.source, note=self.note, tags=tuple(self.tags), valid_from=self.valid_from,
            expires=self.expires, enabled=self.enabled,
        )  # fmt: skip


class NewEdits(BaseModel):
    """Several edits, all or none."""

    model_config = ConfigDict(extra="forbid")

    edits: list[NewEdit] = Field(min_length=1, max_length=MOST)


class Asks(BaseModel):
    """An input."""

    model_config = ConfigDict(extra="forbid")

    input: str = Field(min_length=1, max_length=MAX_TEXT)
    space: str = Field(default="", max_length=MAX_NAME)


class Undoing(BaseModel):
    """How far to go back."""

    model_config = ConfigDict(extra="forbid")

    revisions: int = Field(default=1, ge=1, le=MOST)
