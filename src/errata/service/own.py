"""What errata says itself: the counterfactual model's words under an edit and, without an upstream, the local base's.

A local base with a chat template reads the whole conversation, as an upstream would; any other reads the last turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from errata.counterfactual.retell import Retell
from errata.edit import Match
from errata.editors.serac import Serac
from errata.errors import ConfigError, EditError
from errata.models import ChatModel, Options, Turn
from errata.service.asked import Asked, text_of

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
"""What a local base calls the turns' authors, by what OpenAI calls them."""


def said(editor: Serac, asked: Asked, matches: Sequence[Match | None], *, local: bool) -> list[str]:
    """An answer for each input, or for the last turn where nothing was compared with the edits.

    Args:
        editor: memory, scope, counterfactual model and base.
        asked: the request.
        matches: what each input is in the scope of, if anything.
        local: whether the editor's model is the base; then it is told what the request says of sampling.

    Raises:
        EditError: there is nothing to answer, or a turn is more than text.
        ConfigError: an option is not accepted.
        ErrataError: a model failed.
    """
    options = _options(asked) if local else {}
    base, how = editor.model, editor.counterfactual
    if local and asked.api != "completions" and isinstance(base, ChatModel) and base.chat:
        match = matches[0] if matches else None
        if match is None or isinstance(how, Retell):
            talk = turns(asked)
            if match is not None and isinstance(how, Retell):
                talk[-1] = Turn("user", *asked.framed([how.prompt(asked.inputs[0], match.edit)]))
                options |= {} if how.system is None else {"system": how.system}
            return base.reply([talk], **options)
    inputs = asked.inputs or (last(asked),)
    return _each(editor, inputs, asked.framed(inputs), matches or [None], options)


def _each(
    editor: Serac,
    inputs: Sequence[str],
    prompts: Sequence[str],
    matches: Sequence[Match | None],
    options: Mapping[str, Any],
) -> list[str]:
    """What is asked goes to the counterfactual model where an edit covers it, else the whole prompt to the base."""
    found: dict[int, str] = {}
    hits = [(at, match) for at, match in enumerate(matches) if match]
    if hits:
        answers = editor.counterfactual.respond(
            [inputs[at] for at, _ in hits], [match for _, match in hits], editor.model, **options
        )
        found |= {at: text for (at, _), text in zip(hits, answers, strict=True)}
    rest = [at for at in range(len(inputs)) if at not in found]
    if rest:
        found |= dict(zip(rest, editor.model.generate([prompts[at] for at in rest], **options), strict=True))
    return [found[at] for at in range(len(inputs))]


def turns(asked: Asked) -> list[Turn]:
    """The conversation of a request to /v1/chat/completions or /v1/responses, oldest turn first.

    Raises:
        EditError: it has no turn, or one that is no text or of a tool, which a local model does not read.
    """
    given = asked.body.get("messages" if asked.api == "chat" else "input")
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise EditError(f"there is nothing to answer: {asked.declined or 'the request holds no text'}")
    found = []
    for at, one in enumerate(given):
        role, content = (one.get("role"), text_of(one.get("content"))) if isinstance(one, Mapping) else (None, None)
        if role not in ROLES or content is None:
            raise EditError(
                f"turn {at} cannot be read by a local model: it reads texts of {', '.join(ROLES)}, nothing else"
            )
        found.append(Turn(ROLES[role], content))
    told = asked.body.get("instructions") if asked.api == "responses" else None
    return [Turn("system", told), *found] if isinstance(told, str) and told.strip() else found


def last(asked: Asked) -> str:
    """The last turn's own words.

    Raises:
        EditError: there are none.
    """
    if asked.api == "completions":
        content = asked.body.get("prompt")
    else:
        given = asked.body.get("messages" if asked.api == "chat" else "input")
        final = given[-1] if isinstance(given, list) and given and isinstance(given[-1], Mapping) else {}
        content = given if isinstance(given, str) else text_of(final.get("content"))
    if isinstance(content, str) and content.strip():
        return content
    raise EditError(f"there is nothing to answer: {asked.declined or 'the request holds no text'}")


def _options(asked: Asked) -> dict[str, Any]:
    """What of a request a local model understands.

    Raises:
        ConfigError: a value is not accepted.
    """
    body = asked.body
    found = {
        "max_new_tokens": body.get("max_completion_tokens") or body.get("max_output_tokens") or body.get("max_tokens"),
        "temperature": body.get("temperature", 0.0),
        "top_p": body.get("top_p"),
        "seed": body.get("seed"),
        "stop": body.get("stop"),
    }
    options = {key: value for key, value in found.items() if value is not None}
    if isinstance(options.get("stop"), list):
        options["stop"] = tuple(options["stop"])
    Options().updated(options)  # checks them
    if asked.n > 1 and options["temperature"] != 0:
        raise ConfigError("a local model gives one choice where it samples", key="n")
    return options
