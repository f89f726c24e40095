"""From a name to a model: "mini", "fc", "echo", a URL, a folder or a hub id.

It decides which class answers to a name and nothing else; weights are read and servers asked by the classes.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from errata import zoo
from errata.errors import ConfigError, ErrataError, ModelError
from errata.models import Model

NAMES = ("mini", "fc", "chat", "lot", "triples", "prose", "echo")
"""Names with a meaning of their own; a folder called so is meant by ./mini."""
LEFT = ("lot", "triples", "prose")
"""Those that do not ship: a training leaves them in `RUNS`."""
RUNS = Path("runs")
"""Where, as runs/NAME/model."""
CLAIMS = "fc:"
"""Before a folder or a hub id: a classifier of claims, which answers "True" or "False" and not with its label."""
TALK: Mapping[str, Any] = {"max_new_tokens": 48, "batch_size": 64, "dtype": "float32"}
"""Replies are longer than answers; the weights are kept in float16, too coarse for likelihoods."""


def load_model(name: str, /, **options: Any) -> Model:
    """The base model a name means.

    Args:
        name: "mini" (the bundled base), "fc" (the bundled claim classifier), "chat" (gives opinions; trained here),
            "lot", "triples" and "prose" (know rules' properties, know triples, go on writing; left in runs/ by their
            training), "echo" (the fake), the http(s) URL of an OpenAI-compatible server, a folder, or a hub id; "fc:"
            and a folder or a hub id for a classifier of claims.
        options: passed to the class: `EchoModel`, `RemoteModel`, or `LocalModel` or `ClaimClassifier.from_pretrained`.

    Raises:
        ConfigError: an empty name, another kind of URL, or an option that kind of model does not have.
        ModelError: the model cannot be loaded; says what to do.

    Example:
        >>> load_model("echo").generate(["Hello."])
        ['Hello.']
    """
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"a model needs a name, not {name!r}", key="model", accepted=_accepted())
    if name == "echo":
        from errata.models.echo import EchoModel

        return _call(EchoModel, name, options)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", name):
        from errata.models.remote import RemoteModel

        return _call(RemoteModel, name, options, name)
    if name in ("fc", "lot") or name.startswith(CLAIMS):
        from errata.models.classifier import ClaimClassifier

        if name == "lot":
            return _call(ClaimClassifier.from_pretrained, name, {"name": "lot", **options}, _left(name))
        return _call(ClaimClassifier.from_pretrained, name, options, name.removeprefix(CLAIMS))
    from errata.models.local import LocalModel

    if name == "mini":
        return _shipped(name, {"name": name, **options}, _mini())
    if name == "chat":
        return _shipped(name, {"name": name, **TALK, **options}, zoo.path("chat"))
    if name in LEFT:
        return _shipped(name, {"name": name, **options}, _left(name))
    return _call(LocalModel.from_pretrained, name, options, name)


def _accepted() -> tuple[str, ...]:
    return (*NAMES, "an http(s) URL", "a folder", "a hub id")


def _call(make: Callable[..., Model], name: str, options: Mapping[str, Any], *args: Any) -> Model:
    """Call `make` after checking that it has these options."""
    accepted = [p.name for p in inspect.signature(make).parameters.values()][len(args) :]
    for key in options:
        if key not in accepted:
            raise ConfigError(f"unknown option {key!r}", where=f"model {name!r}", key=key, accepted=accepted)
    return make(*args, **options)


def _shipped(name: str, options: Mapping[str, Any], folder: Path) -> Model:
    """A bundled model, which is called by its name and not by where it lies here."""
    from errata.models.local import LocalModel

    model: Any = _call(LocalModel.from_pretrained, name, options, folder)
    model.source = replace(model.source, name=name)
    found: Model = model
    return found


def _mini() -> Path:
    """Folder of the bundled base model."""
    remedy = "the bundled base model is missing; train it with: errata train base"
    find = getattr(importlib.import_module("errata.zoo"), "path", None)
    if find is None:
        raise ModelError(remedy)
    try:
        folder = Path(find("mini"))
    except ErrataError as error:
        raise ModelError(f"{remedy} ({error})") from error
    except (OSError, LookupError) as error:
        raise ModelError(remedy) from error
    if not (folder / "config.json").is_file():
        raise ModelError(remedy)
    return folder


def _left(name: str) -> Path:
    """Folder of a base model that its training left; an error says which command that is."""
    folder = RUNS / name / "model"
    return folder if (folder / "config.json").is_file() else zoo.path(name)
