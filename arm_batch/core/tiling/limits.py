"""How large the tiles of a ladder may be."""

from __future__ import annotations

MAX_TILE = 1024
"""LR px: a batch of larger ones does not fit into the memory of usual machines."""

MAX_HALO = 128
"""LR px: no net here sees farther."""
