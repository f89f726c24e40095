"""The API's reference as a page: made of the service's own OpenAPI description, so it tells what the service does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
HEAD = """# API reference

Made of the service's own `/openapi.json`. The routes that clients of a model call (`/v1/chat/completions`,
`/v1/completions`, `/v1/responses`, `/v1/models` and all else below `/v1`) are OpenAI's and the upstream's:
[Service](service.md#what-happens-to-a-request). A key goes into `Authorization: Bearer errata_...` or `x-errata-key`;
changes also take `If-Match` (a revision) and `Idempotency-Key`. Errors have OpenAI's shape,
`{"error": {"message", "type", "param", "code"}}`.
"""
TITLES = {"edits": "Edits", "approvals": "Approvals", "health": "Health and metrics"}
BOUNDS = (("minimum", "at least"), ("maximum", "at most"), ("minLength", "at least"), ("maxLength", "at most"),
          ("minItems", "at least"), ("maxItems", "at most"))  # fmt: skip
HUGE = 2**60
"""A bound that nobody meets is not told."""


def reference(schema: Schema) -> str:
    """The page, in Markdown.

    Args:
        schema: what `app.openapi()` gives.
    """
    parts = [HEAD]
    for tag, title in TITLES.items():
        parts.append(f"## {title}\n")
        for path, routes in schema["paths"].items():
            parts += [_route(schema, path, verb, told) for verb, told in routes.items() if tag in told.get("tags", ())]
    return "\n".join(parts)


def _route(schema: Schema, path: str, verb: str, told: Schema) -> str:
    lines = [f"### {verb.upper()} `{path}`\n", f"{told.get('summary', '')}. {told.get('description', '')}\n"]
    rows = [*_parameters(told.get("parameters", ())), *_body(schema, told.get("requestBody", {}))]
    if rows:
        lines += ["| | | |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows), ""]
    return "\n".join(lines)


def _parameters(parameters: Sequence[Schema]) -> Iterator[tuple[str, str, str]]:
    for one in parameters:
        yield f"`{one['name']}`", f"{one['in']}: {_kind(one['schema'])}", one.get("description", "")


def _body(schema: Schema, body: Schema) -> Iterator[tuple[str, str, str]]:
    """The fields of what is sent as JSON."""
    for content in body.get("content", {}).values():
        for one in _named(schema, content["schema"]):
            wanted = one.get("required", ())
            for name, field in one["properties"].items():
                yield f"`{name}`", _kind(field), "needed" if name in wanted else ""


def _named(schema: Schema, sent: Schema) -> Iterator[Schema]:
    """The schemas with fields that a schema stands for."""
    for one in sent.get("anyOf", [sent]):
        if "$ref" in one:
            yield schema["components"]["schemas"][one["$ref"].rpartition("/")[2]]


def _kind(field: Schema) -> str:
    """A value's type, bounds and default in words."""
    if "anyOf" in field:
        kinds = [_kind(one) for one in field["anyOf"] if one.get("type") != "null"]
        return " or ".join(kinds)
    name = field["$ref"].rpartition("/")[2] if "$ref" in field else str(field.get("format") or field.get("type", "any"))
    if name == "array":
        name = f"list of {_kind(field.get('items', {}))}"
    bounds = [f"{word} {int(field[key]):,}" for key, word in BOUNDS if 0 < field.get(key, 0) < HUGE]
    default = [f"`{json.dumps(field['default'])}` otherwise"] if field.get("default") not in (None, "") else []
    return ", ".join([name, *bounds, *default])
