"""The names that options of a training take."""

from __future__ import annotations

from typing import Literal

Device = Literal["cpu", "cuda"]

DegradeName = Literal["none", "mild", "archive"]
"""See `training.degradation`."""

OptimizerName = Literal["adam", "soap"]
"""See `training.optimizers`."""

Strategy = Literal["power", "sandwich", "distil"]
"""See `training.strategies`."""

Loss = Literal["l1", "l2"]
