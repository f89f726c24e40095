"""Read a transformers checkpoint: from where, what kind of model, onto which device, in which precision.

Knows configs and files; it never runs a model and never sees a prompt.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

from errata.errors import ConfigError, MissingExtra, ModelError

Kind = Literal["seq2seq", "causal", "classifier"]


_LOADING = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ImportError)
"""What transformers raises for a checkpoint that is absent, damaged, too new or needs another package."""


def torch_module() -> Any:
    """The torch package, imported now.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("torch", "local") from error
    return torch


def check_kind(kind: str | None) -> Kind | None:
    """The kind as given.

    Raises:
        ConfigError: no such kind.
    """
    for known in get_args(Kind):
        if kind == known:
            return known  # type: ignore[no-any-return]
    if kind is not None:
        raise ConfigError(f"unknown kind {kind!r}", key=str(kind), accepted=get_args(Kind))
    return None


def detect_kind(config: Any, *classes: str) -> Kind:
    """What a model is, by its class and its config's architectures and is_encoder_decoder, not its name.

    Args:
        config: a transformers config.
        classes: class names that come before the config's own, such as that of a loaded module.

    Raises:
        ModelError: nothing says so.
    """
    from transformers.models.auto import modeling_auto as auto

    names = {*classes, *(getattr(config, "architectures", None) or ())}
    if names & _names(auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES):
        return "classifier"
    if getattr(config, "is_encoder_decoder", False):
        return "seq2seq"
    if names & _names(auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES):
        return "causal"
    found = ", ".join(sorted(names)) or getattr(config, "model_type", "no architecture")
    raise ModelError(f"cannot tell what kind of model this is ({found}); say kind= one of {', '.join(get_args(Kind))}")


def load_pretrained(
    name_or_path: str | PathLike[str],
    *,
    kind: Kind | None = None,
    revision: str | None = None,
    device: str = "auto",
    dtype: Any = None,
) -> tuple[Any, Any, Kind]:
    """Module (in eval mode, on its device), tokenizer and kind of a checkpoint.

    Raises:
        ModelError: nowhere to be found, damaged, without weights for this kind, or the device is not there.
        ConfigError: an unknown device or dtype.
        MissingExtra: torch or transformers is not installed.
    """
    source = _source(name_or_path)
    torch = torch_module()
    place, precision = _device(torch, device), _dtype(torch, dtype)
    module, tokenizer, found = _read(source, kind, revision, precision)
    try:
        return module.to(place).eval(), tokenizer, found
    except (RuntimeError, AssertionError) as error:  # torch asserts when it was built without CUDA
        raise ModelError(f"cannot move {short_name(source)} to {device}: {first_line(error)}") from error


def short_name(name: str) -> str:
    """A name fit for logs: the last folder of a path, a hub id as it is."""
    folder = Path(name).expanduser()
    return folder.resolve().name if name and folder.is_dir() else name


def first_line(error: BaseException) -> str:
    """First line of an error's message, at most 300 characters, or its class."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _names(mapping: Any) -> set[str]:
    """Class names in one of transformers' auto mappings, some of whose values are tuples."""
    values = (value if isinstance(value, tuple | list) else (value,) for value in mapping.values())
    return {name for group in values for name in group if name}


def _read(source: str, kind: Kind | None, revision: str | None, dtype: Any) -> tuple[Any, Any, Kind]:
    """Module, tokenizer and kind as the files have them; nothing that is missing is made up."""
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra("transformers", "local") from error
    from safetensors import SafetensorError

    try:
        config = transformers.AutoConfig.from_pretrained(source, revision=revision)
        kind = kind or detect_kind(config)
        maker = {
            "seq2seq": transformers.AutoModelForSeq2SeqLM,
            "causal": transformers.AutoModelForCausalLM,
            "classifier": transformers.AutoModelForSequenceClassification,
        }[kind]
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, revision=revision)
        module, report = maker.from_pretrained(
            source, revision=revision, config=config, dtype=dtype, output_loading_info=True
        )
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RuntimeError,
        ImportError,
        SafetensorError,
    ) as error:
        raise ModelError(_remedy(source, revision, error)) from error
    if report["missing_keys"]:
        some = ", ".join(sorted(report["missing_keys"])[:3])
        raise ModelError(
            f"{short_name(source)} has no weights for {some} ...: it is not a trained {kind} model;"
            " choose another checkpoint or another kind"
        )
    _check_vocabulary(source, revision, tokenizer)
    return module, tokenizer, kind


def _check_vocabulary(source: str, revision: str | None, tokenizer: Any) -> None:
    """Refuse the empty tokenizer that transformers makes up where the files are missing."""
    from transformers.utils import cached_file

    folder = Path(str(cached_file(source, "config.json", revision=revision))).parent
    wanted = set((tokenizer.vocab_files_names or {}).values())
    if wanted and not any((folder / name).is_file() for name in {*wanted, "tokenizer.json"}):
        files = " or ".join(sorted(wanted))
        raise ModelError(f"{short_name(source)} has no tokenizer ({files}); save it beside the weights")


def _source(name_or_path: str | PathLike[str]) -> str:
    if not isinstance(name_or_path, str | PathLike) or not str(name_or_path).strip():
        raise ModelError(f"a model is a folder or a hub id, not {name_or_path!r}")
    name = str(name_or_path)
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelError(f"folder {name!r} holds no model: config.json is missing")
        return str(path)
    if path.exists():
        raise ModelError(f"{name!r} is a file; give the folder that holds config.json, weights and tokenizer")
    if isinstance(name_or_path, PathLike) or name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name:
        raise ModelError(f"there is no folder {name!r}")
    return name


def _device(torch: Any, device: str) -> Any:
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    try:
        return torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(
            f"unknown device {device!r}", key=str(device), accepted=("auto", "cpu", "cuda", "mps")
        ) from error


def _dtype(torch: Any, dtype: Any) -> Any:
    if dtype is None:
        return "auto"
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise ConfigError(f"unknown dtype {dtype!r}", key=str(dtype), accepted=("float32", "bfloat16", "float16"))
    return found


def _remedy(source: str, revision: str | None, error: BaseException) -> str:
    """What went wrong when loading, and what to do about it."""
    if Path(source).is_dir():
        return f"cannot load the model in {source!r}: {first_line(error)}"
    at = f" --revision {revision}" if revision else ""
    return (
        f"cannot load {source!r}: it is no folder here, and the Hugging Face hub did not give it"
        f" ({type(error).__name__}: {first_line(error)}). Check the spelling; without a network fetch it"
        f" beforehand with `hf download {source}{at}`; a private or gated model needs `hf auth login`"
    )
