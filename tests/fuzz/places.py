"""Where in its folder a fuzzing keeps what."""

from __future__ import annotations

CURRENT = "current"
"""The file that is being taken through."""
NUMBER = "number"
"""Which one it is."""
STATE = "state.json"
"""How it goes."""
KEPT = "kept"
"""A folder of files that did something new."""
