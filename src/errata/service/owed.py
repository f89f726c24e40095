"""What the ledger still owes of changes that are made: written at once, or as soon as it can be.

The memory and the ledger are two stores. A change goes into the memory first; from then on it is in force, and must not
be reported as failed because its line in the audit found the disk full. The line waits here, and until it is written no
further change is made.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence

from errata.errors import StoreError
from errata.service.ledger import Ledger, Statement

log = logging.getLogger(__name__)


class Owed:
    """Writes that must happen, in order.

    Args:
        ledger: where they go.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: deque[Sequence[Statement]] = deque()
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """How many changes' lines wait."""
        return len(self._waiting)

    def pay(self) -> None:
        """Write what waits; asked before a change is made.

        Raises:
            StoreError: it cannot be written yet; it waits on.
        """
        with self._lock:
            while self._waiting:
                with self._ledger.writing() as db:
                    for statement in self._waiting[0]:
                        db.execute(*statement)
                self._waiting.popleft()

    def tell(self, *statements: Statement) -> None:
        """Write what belongs to one change that is made, all of it at once; where that fails, it waits."""
        self._waiting.append(statements)
        try:
            self.pay()
        except StoreError as error:
            log.error("a change is in force, but not yet in the ledger; no other is made before it is: %s", error)
