"""Colours of rungs, the same in charts and maps."""

from __future__ import annotations

RUNG_COLOURS = (
    (128, 128, 128),
    (0, 114, 178),
    (0, 158, 115),
    (240, 228, 66),
    (230, 159, 0),
    (213, 94, 0),
    (204, 121, 167),
)
"""RGB, cheapest rung first; further rungs have the last. From Okabe and Ito, "Color Universal Design" (2008):
people who do not tell all colours tell these apart."""


def css(rung: int) -> str:
    """As ``#rrggbb``.

    >>> css(1), css(99) == css(6)
    ('#0072b2', True)
    """
    return "#{:02x}{:02x}{:02x}".format(*RUNG_COLOURS[min(rung, len(RUNG_COLOURS) - 1)])
