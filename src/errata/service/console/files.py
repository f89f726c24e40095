"""The console's own files: style sheet, scripts and icon, kept by browsers for as long as they do not change."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "static"
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
YEAR = "public, max-age=31536000, immutable"


@cache
def files() -> dict[str, tuple[bytes, str, str]]:
    """Each file's bytes, media type and the hash in its address, by name."""
    found = {}
    for path in sorted(FOLDER.iterdir()):
        if path.suffix in KINDS:
            body = path.read_bytes()
            found[path.name] = (body, KINDS[path.suffix], hashlib.sha256(body).hexdigest()[:12])
    return found


def address(name: str) -> str:
    """Where a page finds a file, as it is now."""
    return f"/console/static/{name}?v={files()[name][2]}"


async def serve(request: Request) -> Response:
    """A file; kept for a year where the address names this very content."""
    known = files().get(request.path_params["name"])
    if known is None:
        raise HTTPException(404, "there is no such file")
    body, kind, version = known
    asked = request.query_params.get("v") == version
    return Response(body, media_type=kind, headers={"cache-control": YEAR if asked else "no-cache"})
