"""The user's cache folder on this machine: what is kept there is only ever a shortcut."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """``arm_batch`` under ``XDG_CACHE_HOME``, else under ``~/.cache``."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        # Nobody's home, as in some containers.
        base = Path(tempfile.gettempdir())
    return base / "arm_batch"
