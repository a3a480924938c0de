"""Weights in and out of files, without ever unpickling code."""

from __future__ import annotations

import hashlib
from collections.abc import Set
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from arm_batch.errors import LadderError
from arm_batch.models.backbones.registry import Backbone
from arm_batch.models.backbones.slimmable import Supernet

DESCRIPTION = "supernet"
"""Key of backbone and scale in a weights file. One key alone: safetensors writes several in random order."""


def load_supernet(path: Path, backbone: Backbone, scale: int) -> Supernet:
    """Build a supernet and fill it from a ``.safetensors`` file, a ``.pth`` state dict or a training's checkpoint.

    Of a checkpoint the averaged weights are taken. Half-precision weights are widened to float32.

    Raises:
        LadderError: the file is missing, not a state dict of tensors, or of another backbone or scale.
    """
    supernet = Supernet(backbone, scale)
    tensors, told = _read_weights(path)
    asked = _describe(supernet)
    if told and told != asked:
        raise LadderError(f"{path}: these are the weights of a {told} supernet, not of a {asked} supernet")
    _fill(supernet, tensors, supernet.net.state_dict().keys(), path)
    return supernet.eval()


def load_body(path: Path, supernet: Supernet) -> None:
    """Fill the part of `supernet` before its upsampler from weights of the same backbone at any scale.

    Raises:
        LadderError: the file is missing, not a state dict of tensors, or of another backbone.
    """
    tensors, _ = _read_weights(path)
    prefixes = supernet.backbone.body
    body = {name: tensor for name, tensor in tensors.items() if name.startswith(prefixes)}
    _fill(supernet, body, {name for name in supernet.net.state_dict() if name.startswith(prefixes)}, path)


def save_weights(path: Path, supernet: Supernet) -> None:
    """Write the shared weights as half-precision safetensors; a reader never sees half a file.

    The file names its backbone and scale: FSRCNN's weights have the same shapes at every scale.
    """
    tensors = {k: v.half().contiguous() for k, v in supernet.net.state_dict().items()}
    temporary = path.with_name(path.name + ".tmp")
    save_file(tensors, temporary, metadata={DESCRIPTION: _describe(supernet)})
    temporary.replace(path)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a training checkpoint of tensors and plain values; replaces `path` in one step."""
    temporary = path.with_name(path.name + ".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, refusing anything but tensors and plain values."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A damaged pickle makes torch's unpickler raise almost anything: KeyError, IndexError, UnicodeError...
        raise LadderError(f"{path}: not a readable checkpoint ({_first_line(error)})") from error
    return state


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fill(supernet: Supernet, tensors: dict[str, Tensor], names: Set[str], path: Path) -> None:
    """Replace the parameters called `names` by `tensors`, which must be all of those."""
    if tensors.keys() != names:
        raise LadderError(f"{path}: these are not the weights of a {supernet.backbone.name} supernet")
    expected = supernet.net.state_dict()
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise LadderError(
                f"{path}: {name} is {tuple(tensor.shape)}, a {_describe(supernet)} supernet "
                f"has {tuple(expected[name].shape)}"
            )
    supernet.net.load_state_dict(expected | {name: tensor.float() for name, tensor in tensors.items()})


def _describe(supernet: Supernet) -> str:
    return f"{supernet.backbone.name} x{supernet.scale}"


def _read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """Tensors by name, and whose the file says they are; published ones say nothing."""
    if path.suffix != ".safetensors":
        found = load_checkpoint(path)
        if isinstance(found, dict) and found.keys() >= {"averaged", "backbone", "scale"}:
            return found["averaged"], f"{found['backbone']} x{found['scale']}"
        if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
            raise LadderError(f"{path}: not a state dict of tensors")
        return found, ""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, (file.metadata() or {}).get(DESCRIPTION, "")
    except (SafetensorError, OSError, ValueError, TypeError, LookupError, RuntimeError) as error:
        raise LadderError(f"{path}: not a readable weights file ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
