"""Subnets as runtimes want them, kept in the user's cache folder by their weights: made once a machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from arm_batch.models.rungs.subnet import SubnetRung
from arm_batch.storage.user_cache import cache_folder

SUMS = "sums"
"""File that lists the others with their SHA-256."""


def net_digest(net: SubnetRung) -> str:
    """SHA-256 over backbone, scale, width and the weights of a subnet."""
    supernet = net.supernet
    digest = hashlib.sha256(f"{supernet.backbone.name} x{supernet.scale} {net.width}".encode())
    for name, tensor in sorted(net.module().state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def exported(name: str, export: Callable[[Path], None], cache: Path | None = None) -> Path | None:
    """The folder of that name with what `export` writes into it, made unless it is there and sound.

    Args:
        name: all that decides what is written.
        export: writes files into the folder it is given.
        cache: where such folders are kept; None for the user's cache folder.

    Returns:
        None where nothing can be written: then what is needed is made in memory, each time.
    """
    base = (cache_folder() if cache is None else cache) / "exports"
    folder = base / name
    if _is_sound(folder):
        return folder
    try:
        base.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".tmp-", dir=base))
    except OSError:
        return None
    try:
        export(aside)
        (aside / SUMS).write_text(_sums(aside))
        # What was damaged goes; another process may do all this at the same time, and either's will do.
        if folder.exists():
            folder.rename(aside / "damaged")
        aside.rename(folder)
        shutil.rmtree(folder / "damaged", ignore_errors=True)
    except OSError:
        shutil.rmtree(aside, ignore_errors=True)
    return folder if _is_sound(folder) else None


def _is_sound(folder: Path) -> bool:
    try:
        return (folder / SUMS).read_text() == _sums(folder)
    except (OSError, UnicodeDecodeError):
        return False


def _sums(folder: Path) -> str:
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file() and entry.name != SUMS)
    return "".join(f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names)
