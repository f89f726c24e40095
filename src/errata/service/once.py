"""A change that is sent twice is made once: its answer is remembered by the request's `Idempotency-Key`.

A key is claimed in the ledger before the change is made, so it holds for every process that shares the ledger. A claim
that never got an answer (the process died) is never taken over: nobody knows whether its change was made.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable

from fastapi.responses import JSONResponse

from errata.errors import ConflictError
from errata.service.ledger import Ledger, now
from errata.service.owed import Owed

PATIENCE = 10.0
"""Seconds that a request waits for another one with the same key to be answered."""
PAUSE = 0.02
"""Seconds between two looks."""


def once(ledger: Ledger, owed: Owed, who: str, key: str, told: str, work: Callable[[], JSONResponse]) -> JSONResponse:
    """Do a change, or give the answer it was given before.

    Args:
        ledger: where answers are remembered.
        owed: what the ledger is told of a change that is made.
        who: whose key it is.
        key: the request's own.
        told: the request; another one with the same key is refused.
        work: makes the change. If it fails, the key may be used again.

    Raises:
        ConflictError: the key was used for another request, or that one has not ended yet.
    """
    digest = hashlib.sha256(told.encode()).hexdigest()
    owed.pay()  # perhaps the answer of this very key
    found = _claimed(ledger, who, key, digest)
    if found is not None:
        return found
    try:
        answer = work()
    except BaseException:
        owed.tell(("DELETE FROM idempotent WHERE who = ? AND key = ?", (who, key)))
        raise
    sql = "UPDATE idempotent SET status = ?, body = ? WHERE who = ? AND key = ?"
    owed.tell((sql, (answer.status_code, bytes(answer.body).decode(), who, key)))
    return answer


def _claimed(ledger: Ledger, who: str, key: str, digest: str) -> JSONResponse | None:
    """The answer given before; None where the key is now this request's own."""
    until = time.monotonic() + PATIENCE
    while True:
        found = ledger.rows("SELECT digest, status, body, made FROM idempotent WHERE who = ? AND key = ?", (who, key))
        if not found:
            with ledger.writing() as db:
                sql = "INSERT INTO idempotent VALUES (?, ?, ?, 0, '', ?) ON CONFLICT DO NOTHING"
                if db.execute(sql, (who, key, digest, now())).rowcount:
                    return None
            continue
        before, status, body, made = found[0]
        if before != digest:
            raise ConflictError("this Idempotency-Key was used for another request")
        if status:
            return JSONResponse(json.loads(body), status_code=status, headers={"idempotent-replayed": "true"})
        if time.monotonic() > until:
            raise ConflictError(
                f"a request with this Idempotency-Key began at {made} and has not ended; send it again later. If that "
                "does not help, look whether its change was made, and send what was not with another key"
            )
        time.sleep(PAUSE)
