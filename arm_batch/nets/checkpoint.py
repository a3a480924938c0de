"""Weights in and out of files, without ever unpickling code."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from arm_batch.errors import LadderError
from arm_batch.nets.registry import Backbone
from arm_batch.nets.slimmable import Supernet

DESCRIPTION = "supernet"
"""Key of backbone and scale in a weights file. One key alone: safetensors writes several in random order."""


def load_supernet(path: Path, backbone: Backbone, scale: int) -> Supernet:
    """Build a supernet and fill it from a ``.safetensors`` file or a ``.pth`` state dict.

    Half-precision weights are widened to float32.

    Raises:
        LadderError: the file is missing, not a state dict of tensors, or of another backbone or scale.
    """
    supernet = Supernet(backbone, scale)
    tensors, told = _read_weights(path)
    asked = _describe(supernet)
    if told and told != asked:
        raise LadderError(f"{path}: these are the weights of a {told} supernet, not of a {asked} supernet")
    found = {name: tensor.float() for name, tensor in tensors.items()}
    expected = supernet.net.state_dict()
    if found.keys() != expected.keys():
        raise LadderError(f"{path}: these are not the weights of a {backbone.name} supernet")
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape:
            raise LadderError(
                f"{path}: {name} is {tuple(found[name].shape)}, a {backbone.name} x{scale} supernet "
                f"has {tuple(tensor.shape)}"
            )
    supernet.net.load_state_dict(found)
    return supernet.eval()


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


def _describe(supernet: Supernet) -> str:
    return f"{supernet.backbone.name} x{supernet.scale}"


def _read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """Tensors by name, and whose the file says they are; published ones say nothing."""
    if path.suffix != ".safetensors":
        found = load_checkpoint(path)
        if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
            raise LadderError(f"{path}: not a state dict of tensors")
        return found, ""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, (file.metadata() or {}).get(DESCRIPTION, "")
    except (SafetensorError, OSError) as error:
        raise LadderError(f"{path}: not a readable weights file ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
