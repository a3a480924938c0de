"""Pictures that nets would spoil, so that they are interpolated."""

from __future__ import annotations

from arm_batch.core.tiling.dither import DitherLook

DITHERED = "in two tones or dithered: interpolated, as nets would shift its tones"
THIN = "less than 3 px high or wide: interpolated, as nets would shift its tones"
"""What the rows of such images say."""

_THINNEST = 3
"""Px: of less than that, what nets pad them with shifts them by 3 to 24 levels."""


def why_interpolated(height: int, width: int, look: DitherLook) -> str | None:
    """Why a picture gets no net, for its row; None where it may.

    Args:
        height: px.
        width: px.
        look: at all rows of it.
    """
    if min(height, width) < _THINNEST:
        return THIN
    return DITHERED if look.is_dithered() else None
