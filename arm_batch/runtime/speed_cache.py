"""Measured speeds, kept between runs in the user's cache folder; only ever a shortcut."""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_AGE_S = 24 * 3600.0
"""What else runs on a machine is in the figures, and changes."""


def cache_file() -> Path:
    """Where speeds are kept: under ``XDG_CACHE_HOME``, else ``~/.cache``."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        # Nobody's home, as in some containers.
        base = Path(tempfile.gettempdir())
    return base / "arm_batch" / "speeds.json"


def recall(path: Path, key: str, n_subnets: int) -> list[float] | None:
    """The seconds kept under a key, by subnet; ``None`` where there are none, or none that can be used."""
    try:
        entry = _read(path)[key]
        seconds = [float(s) for s in entry["seconds"]]
        fresh = 0 <= time.time() - float(entry["measured"]) < MAX_AGE_S
    except (TypeError, KeyError, ValueError):
        return None
    # Interpolation, the first, counts for nothing here.
    sound = len(seconds) == n_subnets and seconds[0] == 0 and all(0 < s < math.inf for s in seconds[1:])
    return seconds if fresh and sound else None


def remember(path: Path, speeds: Mapping[str, list[float]]) -> None:
    """Keep the seconds under their keys; a file that cannot be written is none the worse for the run."""
    now = time.time()
    entries = {**_read(path), **{key: {"seconds": s, "measured": now} for key, s in speeds.items()}}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another run may read or write at the same time: whole files take each other's place.
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w") as file:
            json.dump(entries, file, indent=1)
        Path(name).replace(path)
    except OSError:
        return


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
