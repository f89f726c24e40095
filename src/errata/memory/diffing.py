"""What changed in a memory between two moments, told from the edits live at each. Knows nothing of stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from errata.edit import Revision


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed between two moments of a memory.

    Args:
        added: edits in the memory at the later moment only, as they are then.
        removed: edits in the memory at the earlier moment only, as they were.
        changed: edits in it at both moments with other text or terms: before and after.
    """

    added: tuple[Revision, ...] = ()
    removed: tuple[Revision, ...] = ()
    changed: tuple[tuple[Revision, Revision], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def compare(before: Mapping[str, Revision], then: Mapping[str, Revision]) -> Diff:
    """The difference of two states: the live edits by id, at the earlier and at the later moment."""
    return Diff(
        added=tuple(new for id, new in then.items() if id not in before),
        removed=tuple(old for id, old in before.items() if id not in then),
        changed=tuple(
            (before[id], new)
            for id, new in then.items()
            if id in before and (before[id].edit, before[id].terms) != (new.edit, new.terms)
        ),
    )
