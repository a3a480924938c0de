"""What the process ends with, for scripts and schedulers."""

from __future__ import annotations

CRASH = 1
USAGE = 2
"""Nothing was written."""
FAILED_IMAGES = 3
"""Done, but some rows have the status `failed`."""
