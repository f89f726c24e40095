"""Getting ready: a large memory's index is loaded, or built, before anybody asks. Building one may take minutes."""

from __future__ import annotations

import logging
import threading

from errata.editors.serac import Serac
from errata.errors import ErrataError

log = logging.getLogger(__name__)


class Warming:
    """Makes the memory ready to be searched, in a thread of its own.

    Args:
        editor: whose memory and networks.
    """

    def __init__(self, editor: Serac) -> None:
        self._editor, self._ended = editor, threading.Event()

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    def start(self, wait: float) -> None:
        """Begin, and wait so many seconds at most for the end."""
        threading.Thread(target=self._run, name="errata-warming", daemon=True).start()
        self._ended.wait(wait)

    def _run(self) -> None:
        memory = self._editor.memory
        try:
            refresh = getattr(memory, "refresh", None)  # only those in SQL keep an index
            if refresh is not None:
                refresh()
            self._editor.decide(["?"])
        except ErrataError as error:  # whoever asks is told the same
            log.warning("the memory could not be made ready: %s", error)
        finally:
            self._ended.set()
