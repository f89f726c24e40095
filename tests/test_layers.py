"""Which way imports point, and that the heavy libraries are imported late and only where they belong.

Read from the source with `ast`: nothing is imported. Every module must have a place in `LAYERS`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "errata"

LAYERS = (
    {"errors", "edit", "settings"},
    {"models"},
    {"memory", "scope", "counterfactual"},
    {"editors"},
    {"training", "problems", "metrics"},
    {"service", "experiments"},
    {"cli", "__main__"},
)
"""Lowest first. A room imports from itself, its own layer and the layers below it."""

STRANGERS = {"memory", "scope", "counterfactual"}
"""These do not import one another; editors/serac.py is where they meet."""

ANYONE = {"zoo", "_version"}
"""Shipped data with a path helper, and the version: all import them, they import the lowest layer only."""

HEAVY = {
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "onnxruntime",
    "onnx",
    "safetensors.torch",
}
"""Imported inside functions or under TYPE_CHECKING only, and only in `WORKSHOPS`."""

WORKSHOPS = {"models", "scope", "counterfactual", "editors", "training"}

RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}


class Import(NamedTuple):
    """One module named by an import, and whether it runs when the importing module is loaded."""

    line: int
    module: str
    early: bool


def room_of(module: str) -> str:
    """ "errata.models.echo" → "models"; "errata" → ""."""
    return (module.split(".") + [""])[1]


def imports(tree: ast.Module, module: str, *, package: bool) -> Iterator[Import]:
    """Every import of a module: statements anywhere, also relative, and import_module("…") of a literal."""
    for node, early in _walk(tree, early=True):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, early)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")[: len(module.split(".")) - node.level + package]
                base = ".".join([*parents, *filter(None, [node.module])])
            for alias in node.names:
                yield Import(node.lineno, f"{base}.{alias.name}", early)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield Import(node.lineno, node.args[0].value, early)


def _walk(node: ast.AST, *, early: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Every node with whether it runs at import: not inside a function, nor under `if TYPE_CHECKING:`."""
    yield node, early
    late: list[ast.AST] = []
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        late = node.body if isinstance(node.body, list) else [node.body]
    elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        late = list(node.body)
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, early=early and child not in late)


def violations(source: str, module: str, *, package: bool = False) -> list[str]:
    """What is wrong with a module's imports, one line each."""
    room = room_of(module)
    if room and room not in RANK and room not in ANYONE:
        return [f"{module}: has no place in LAYERS; give it one here and in docs/architecture.md"]
    wrongs = []
    for found in imports(ast.parse(source), module, package=package):
        upwards = _upwards(room, found.module) if room else ()  # the public names may come from anywhere
        wrongs += [f"{module}:{found.line}: {wrong}" for wrong in (*_heavy(room, found), *upwards)]
    return wrongs


def _heavy(room: str, found: Import) -> Iterator[str]:
    heavy = next((name for name in HEAVY if f"{found.module}.".startswith(f"{name}.")), "")
    if heavy and room not in WORKSHOPS:
        yield f"imports {heavy}, which belongs to {', '.join(sorted(WORKSHOPS))}"
    elif heavy and found.early:
        yield f"imports {heavy} at module level; import it inside a function"


def _upwards(room: str, imported: str) -> Iterator[str]:
    if imported != "errata" and not imported.startswith("errata."):
        return
    target = room_of(imported)
    if target in ANYONE or target == room:
        return
    if target not in RANK:
        yield f"imports {imported}: take a public name from the module that defines it"
    elif RANK[target] > RANK.get(room, 0):
        yield f"imports {imported}: {room} lies below {target}"
    elif {room, target} <= STRANGERS:
        yield f"imports {imported}: {room} and {target} do not know one another"


def modules() -> Iterator[tuple[Path, str]]:
    for path in sorted(SOURCE.rglob("*.py")):
        parts = ("errata", *path.relative_to(SOURCE).with_suffix("").parts)
        yield path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize(("path", "module"), [pytest.param(*found, id=found[1]) for found in modules()])
def test_imports_point_downwards(path: Path, module: str) -> None:
    assert violations(path.read_text(encoding="utf-8"), module, package=path.name == "__init__.py") == []


BAD = {
    "upwards": ("errata.models.bad", "from errata.editors.serac import wrap", "models lies below editors"),
    "upwards, late": ("errata.models.bad", "def f():\n    import errata.cli", "models lies below cli"),
    "upwards, relative": ("errata.models.bad", "from ..editors import serac", "models lies below editors"),
    "upwards, by name": ("errata.edit", "import_module('errata.models')", "edit lies below models"),
    "upwards, for types": (
        "errata.edit",
        "if TYPE_CHECKING:\n    from errata.models import Model",
        "edit lies below models",
    ),
    "upwards, from data": ("errata.zoo.bad", "import errata.models", "zoo lies below models"),
    "strangers": ("errata.scope.bad", "from errata.memory import Vectors", "do not know one another"),
    "strangers, from errata": ("errata.scope.bad", "from errata import memory", "do not know one another"),
    "public name": ("errata.scope.bad", "from errata import Edit", "from the module that defines it"),
    "torch early": ("errata.models.bad", "import torch.nn as nn", "imports torch at module level"),
    "torch early, tried": (
        "errata.models.bad",
        "try:\n    from torch import nn\nexcept ImportError:\n    nn = None",
        "imports torch at module level",
    ),
    "torch early, in a class": (
        "errata.models.bad",
        "class A:\n    import torch",
        "imports torch at module level",
    ),
    "torch early, else": (
        "errata.models.bad",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import torch",
        "imports torch at module level",
    ),
    "torch early, as a default": (
        "errata.models.bad",
        "def f(t=__import__('torch')): ...",
        "imports torch at module level",
    ),
    "through safetensors": (
        "errata.models.bad",
        "from safetensors.torch import load_file",
        "imports safetensors.torch at module level",
    ),
    "torch in the wrong room": ("errata.memory.bad", "def f():\n    import torch", "which belongs to"),
    "torch with the public names": ("errata", "def f():\n    import torch", "which belongs to"),
    "homeless": ("errata.attic", "", "has no place in LAYERS"),
}


@pytest.mark.parametrize(("module", "source", "message"), BAD.values(), ids=BAD.keys())
def test_the_checker_finds_what_is_wrong(module: str, source: str, message: str) -> None:
    [wrong] = violations(source, module)
    assert message in wrong


def test_the_checker_counts_every_wrong_import() -> None:
    source = "import torch\nfrom errata.cli import main\nfrom errata.scope import Scope\n"
    found = violations(source, "errata.memory.bad")
    assert [wrong.split(": ")[0] for wrong in found] == [f"errata.memory.bad:{line}" for line in (1, 2, 3)]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("errata.models.good", "if TYPE_CHECKING:\n    import torch\ndef f():\n    import transformers"),
        (
            "errata.editors.good",
            "from errata import zoo\nfrom errata.memory import Memory\nimport errata.scope.dual",
        ),
        (
            "errata.training.good",
            "from errata.problems.facts import Fact\nimport safetensors\nimport torchlike",
        ),
        ("errata.cli.good", "from errata._version import __version__\nfrom errata.experiments import run"),
        ("errata.models.good", "from . import Model\nfrom .echo import EchoModel\nimport_module(name)"),
    ],
)
def test_the_checker_lets_the_rest_pass(module: str, source: str) -> None:
    assert violations(source, module) == []


def test_relative_imports_of_a_package() -> None:
    assert violations("from .. import memory", "errata.scope", package=True) != []
    assert violations("from . import dual", "errata.scope", package=True) == []
