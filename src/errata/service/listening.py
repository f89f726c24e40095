"""The socket that the service listens on."""

from __future__ import annotations

import socket

from errata.errors import ConfigError


def listening(host: str, port: int) -> socket.socket:
    """A bound socket.

    Its protocol is named: asyncio switches Nagle's algorithm off only where it is, and with it on, an answer whose head
    and body are sent apart waits 40 ms for an acknowledgement.

    Args:
        host: an address or a name of this machine.
        port: 0 takes a free one.

    Raises:
        ConfigError: nobody can listen there.
    """
    made: socket.socket | None = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        family, kind, protocol, _, address = found[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        if made is not None:
            made.close()
        said = error.strerror or str(error)
        raise ConfigError(f"cannot listen on {host}:{port}: {said}; is another service there?", key="port") from error
    return made
