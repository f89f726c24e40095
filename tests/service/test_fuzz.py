"""Whatever is sent to the edits API by the schema it publishes, it is never answered with a 5xx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

schemathesis = pytest.importorskip("schemathesis")

from hypothesis import HealthCheck, settings  # noqa: E402

from serving import key, running, service  # noqa: E402

MADE = service()
BOSS = key(MADE)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running(MADE.app) as found:
        yield found


schema = schemathesis.openapi.from_dict(MADE.app.openapi())


@schema.include(path_regex=r"^/(v1|health)/").parametrize()
@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
def test_no_request_is_answered_with_a_5xx(case: Any, url: str) -> None:
    answer = case.call(base_url=url, headers=BOSS)
    assert answer.status_code < 500, (case.as_curl_command(), answer.text)
    if answer.status_code >= 400:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
