"""Where the service listens, and that small answers are not held back."""

from __future__ import annotations

import socket

import pytest

from errata.errors import ConfigError
from errata.service.listening import listening


def test_a_free_port_is_taken_and_its_connections_can_do_without_nagle() -> None:
    with listening("127.0.0.1", 0) as made:
        assert made.getsockname()[1] > 0
        assert made.proto == socket.IPPROTO_TCP  # what asyncio looks at before it sets TCP_NODELAY


def test_a_port_that_is_taken_is_told_of() -> None:
    with listening("127.0.0.1", 0) as made:
        made.listen()
        with pytest.raises(ConfigError, match="is another service there"):
            listening("127.0.0.1", made.getsockname()[1])


def test_an_address_that_is_not_ours_is_told_of() -> None:
    with pytest.raises(ConfigError, match="cannot listen on 203.0.113.7:0"):
        listening("203.0.113.7", 0)
