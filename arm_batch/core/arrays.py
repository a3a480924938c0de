"""The kinds of arrays that go through the package, each with one name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""Numbers of any kind and shape."""

Pixels = NDArray[Any]
"""uint8 or uint16, HWC with one (grey) or three (RGB) channels; batches of tiles are NHWC."""

Pixels8 = NDArray[np.uint8]
"""Pixels that are uint8."""

Floats = NDArray[np.float64]
"""Numbers that are added up or solved for."""

Singles = NDArray[np.float32]
"""Levels, and what is computed of each pixel or tile."""

Scores = NDArray[np.float32]
"""Of the tiles of an image, ``(n_tiles, n_scores)``."""

Counts = NDArray[np.int64]
"""Of tiles, images, pixels, and FLOPs."""

Indices = NDArray[np.intp]
"""Positions: of tiles in an image, of subnets in a ladder, of bins in a table."""

Corners = NDArray[np.int16]
"""Where something begins and ends in a window, px."""

Flags = NDArray[np.bool_]
"""Whether, for each."""
