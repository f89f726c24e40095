"""The trained networks on top of the backbone, in torch: one that embeds a text, one that reads a pair.

What is trained and shipped are LoRA adapters and small heads; the backbone's weights stay as they are. This module
knows tokens and tensors, never edits.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from errata.errors import ConfigError, MissingExtra, ModelError
from errata.models.backbone import MINILM, find_backbone, weights_hash

SHAPES = ("dual", "pair")
KINDS = ("span", "true", "false", "yes", "no")
"""What an answer is: words of the edit; the verdict on a statement; the answer to a yes/no question."""
CONFIG, ADAPTER, HEADS = "config.json", "adapter.safetensors", "heads.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """What a network is made of; saved as config.json beside its weights."""

    shape: str = "dual"
    """"dual" embeds one text, "pair" reads an input and an edit together."""
    backbone: str = MINILM
    """Folder or hub id of the pretrained encoder."""
    backbone_sha256: str = ""
    """Hash its model.safetensors must have; filled in when trained."""
    layers: int = 0
    """Backbone layers kept; 0 keeps all."""
    rank: int = 16
    """LoRA rank on every linear layer of the encoder; 0 trains no adapter."""
    max_length: int = 160
    """Tokens kept of an input, and of an edit."""
    pooling: str = "mean"
    """"mean" over tokens, or "cls" (the authors')."""
    normalise: bool = True
    """Whether vectors have length 1 (dual only)."""
    format: str = "errata-text-1"
    """Text format the network was trained with."""
    numbers: bool = False
    """Whether an input's numbers are followed by how the edit's compare with them (pair only, `models/numbers.py`)."""
    calibration: dict[str, float] = field(default_factory=dict)
    """Numbers fitted on dev data after training (scale and bias, or temperature)."""

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ConfigError(f"shape {self.shape!r} is not known", key="shape", accepted=SHAPES)
        if self.pooling not in ("mean", "cls"):
            raise ConfigError(f"pooling {self.pooling!r} is not known", key="pooling", accepted=("mean", "cls"))

    @classmethod
    def read(cls, folder: Path) -> NetworkConfig:
        """Read config.json of a saved network (ModelError if there is none, ConfigError for unknown keys)."""
        path = folder / CONFIG
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder} holds no trained network: cannot read {CONFIG} ({error})") from error
        known = cls.__dataclass_fields__
        for key in found:
            if key not in known:
                raise ConfigError(f"unknown key {key!r}", where=str(path), key=key, accepted=tuple(known))
        return cls(**found)


def _torch() -> Any:
    try:
        import peft
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtra(error.name or "torch", "local") from error
    return torch, transformers, peft


@contextmanager
def _silent(transformers: Any) -> Iterator[None]:
    """No progress bar and no report of the pooler that is left out, while a backbone is read."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def new_network(config: NetworkConfig) -> Any:
    """An untrained network: the pretrained backbone, fresh adapters and heads; returns a torch module.

    The module's forward takes ids, mask, types (each (n, t)) and returns, for "dual", vectors (n, d); for "pair", a
    tuple of scope logits (n,), kind logits (n, 5) in the order of `KINDS`, and start and end logits (n, t).
    """
    torch, transformers, peft = _torch()
    folder = find_backbone(config.backbone, sha256=config.backbone_sha256 or None)
    with _silent(transformers):
        encoder = transformers.AutoModel.from_pretrained(
            folder,
            attn_implementation="sdpa",
            add_pooling_layer=False,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )  # no dropout, as the authors train
    if config.layers:
        encoder.encoder.layer = encoder.encoder.layer[: config.layers]
    config = replace(config, backbone_sha256=weights_hash(folder))
    width = encoder.config.hidden_size
    if config.rank:
        lora = peft.LoraConfig(
            r=config.rank,
            lora_alpha=2 * config.rank,
            lora_dropout=0.0,
            bias="none",
            target_modules=["query", "key", "value", "dense"],
        )
        with warnings.catch_warnings():  # peft asks transformers for a name it has since deprecated
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            encoder = peft.get_peft_model(encoder, lora)
    else:
        encoder.requires_grad_(False)
    return _module_class(torch)(encoder, config, width)


def _module_class(torch: Any) -> Any:
    class Network(torch.nn.Module):  # type: ignore[misc]
        def __init__(self, encoder: Any, config: NetworkConfig, width: int) -> None:
            super().__init__()
            self.encoder, self.config, self.width = encoder, config, width
            if config.shape == "dual":
                self.scale = torch.nn.Parameter(torch.tensor(10.0))
                self.bias = torch.nn.Parameter(torch.tensor(5.0))
            else:
                self.inner = torch.nn.Linear(2 * width, width)
                self.scope = torch.nn.Linear(width, 1)
                self.kind = torch.nn.Linear(width, len(KINDS))
                self.span = torch.nn.Linear(width, 2)

        def forward(self, ids: Any, mask: Any, types: Any) -> Any:
            hidden = self.encoder(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state
            weight = mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * weight).sum(1) / weight.sum(1)
            if self.config.shape == "dual":
                vector = mean if self.config.pooling == "mean" else hidden[:, 0]
                return torch.nn.functional.normalize(vector.float(), dim=-1) if self.config.normalise else vector
            read = torch.tanh(self.inner(torch.cat([hidden[:, 0], mean], -1)))
            span = self.span(hidden)
            return self.scope(read).squeeze(-1), self.kind(read), span[..., 0], span[..., 1]

        def log_odds(self, squared_distance: Any) -> Any:
            """Dual: log-odds of being in scope from the squared distance (learned scale and bias)."""
            return self.bias - self.scale * squared_distance

    return Network


def save_network(module: Any, config: NetworkConfig, folder: Path) -> None:
    """Write config.json, adapter.safetensors and heads.safetensors (float16)."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: value.detach().half().contiguous().cpu()
        for name, value in module.named_parameters()
        if value.requires_grad
    }
    adapter = {name: value for name, value in state.items() if "lora_" in name}
    heads = {name: value for name, value in state.items() if "lora_" not in name}
    config = replace(config, backbone_sha256=module.config.backbone_sha256)
    save_file(adapter, folder / ADAPTER)
    save_file(heads, folder / HEADS)
    (folder / CONFIG).write_text(json.dumps(asdict(config), indent=2) + "\n")
    for name in (ADAPTER, HEADS):
        (folder / name).chmod(0o644)  # the writer leaves them readable by the owner alone


def load_network(folder: Path) -> Any:
    """A saved network as a torch module in eval mode, its adapters merged into a copy of the backbone.

    Raises:
        ModelError: files are missing or damaged, or the backbone is not the one it was trained on.
    """
    config = NetworkConfig.read(folder)
    module = new_network(config)
    load_weights(module, folder)
    if config.rank:
        module.encoder = module.encoder.merge_and_unload()
    return module.eval().requires_grad_(False)


def load_weights(module: Any, folder: Path, *, cut: bool = False) -> None:
    """Put a saved network's adapters and heads into a module of the same shape.

    Args:
        module: as `new_network` makes it.
        folder: of the saved network.
        cut: whether the saved one may have more layers; those that the module lacks are left out.

    Raises:
        ModelError: the weights cannot be read, or do not fit.
    """
    from safetensors.torch import load_file

    try:
        state = load_file(folder / ADAPTER) | load_file(folder / HEADS)
    except Exception as error:  # safetensors raises its own errors and OSError
        raise ModelError(f"cannot read the trained weights in {folder}: {error}") from error
    wanted = {name: value.shape for name, value in module.named_parameters() if value.requires_grad}
    if cut:
        state = {name: value for name, value in state.items() if name in wanted or "encoder.layer." not in name}
    odd = sorted(set(wanted) ^ set(state)) or [name for name in state if state[name].shape != wanted[name]]
    if odd:
        raise ModelError(f"the weights in {folder} do not fit the network (for instance {', '.join(odd[:3])})")
    module.load_state_dict({name: value.float() for name, value in state.items()}, strict=False)


def fingerprint(folder: Path, *, precision: str) -> str:
    """Names weights, text format and precision of a saved network: 16 hexadecimal digits."""
    import hashlib

    config = NetworkConfig.read(folder)
    digest = hashlib.sha256(f"{config.backbone_sha256}/{config.format}/{precision}".encode())
    for name in (ADAPTER, HEADS):
        digest.update((folder / name).read_bytes())
    shape = {key: value for key, value in asdict(config).items() if key != "calibration"}
    if not config.numbers:  # what came before this key keeps its name
        del shape["numbers"]
    digest.update(json.dumps(shape, sort_keys=True).encode())
    return digest.hexdigest()[:16]
