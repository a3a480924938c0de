"""Measured speeds, kept between runs in the user's cache folder; only ever a shortcut."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from arm_batch.core.json_records import Amount, Record, decode_json, to_builtins
from arm_batch.storage.user_cache import cache_folder

MAX_AGE_S = 24 * 3600.0
"""What else runs on a machine is in the figures, and changes."""


class _Entry(Record, frozen=True):
    """Speeds of one kind of device.

    Attributes:
        seconds: for a tile, by subnet.
        measured: when, in seconds since the revision.
    """

    seconds: Annotated[list[Amount], msgspec.Meta(min_length=1)]
    measured: float


def cache_file() -> Path:
    """Where speeds are kept."""
    return cache_folder() / "speeds.json"


def recall(path: Path, key: str, n_subnets: int) -> list[float] | None:
    """The seconds kept under a key, by subnet; ``None`` where there are none, or none that can be used."""
    entry = _read(path).get(key)
    if entry is None or len(entry.seconds) != n_subnets or not 0 <= time.time() - entry.measured < MAX_AGE_S:
        return None
    # Interpolation, the first, counts for nothing here.
    return entry.seconds if entry.seconds[0] == 0 and all(s > 0 for s in entry.seconds[1:]) else None


def remember(path: Path, speeds: Mapping[str, list[float]]) -> None:
    """Keep the seconds under their keys; a file that cannot be written is none the worse for the run."""
    now = time.time()
    entries = _read(path) | {key: _Entry(seconds, now) for key, seconds in speeds.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another run may read or write at the same time: whole files take each other's place.
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w") as file:
            json.dump(to_builtins(entries), file, indent=1)
        Path(name).replace(path)
    except OSError:
        return


def _read(path: Path) -> dict[str, _Entry]:
    try:
        return decode_json(path.read_bytes(), dict[str, _Entry])
    except (OSError, ValueError):
        # What cannot be used is measured again.
        return {}
