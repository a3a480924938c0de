"""What the process ends with, for scripts and schedulers."""

from __future__ import annotations

CRASH = 1
USAGE = 2
"""Nothing was written."""
FAILED_IMAGES = 3
"""Done, but some rows have the status `failed`."""
UNDONE = 4
"""Stopped before the end, or found incomplete or damaged; running the job again goes on."""
