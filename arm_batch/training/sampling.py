"""Which crops a training step sees."""

from __future__ import annotations

import numpy as np
import torch

from arm_batch.training.augment_colour import color_jitter
from arm_batch.training.augment_dead_leaves import drop_leaves
from arm_batch.training.choices import DegradeName
from arm_batch.training.data import Change, Crops, CropSampler, Reduce
from arm_batch.training.degradation import RECIPES, degrade_crops


class Draws:
    """The crops of every step, a function of the seed and the step alone, on whatever device.

    Those of several steps may be drawn together. On a GPU that is faster: laying leaves and varying colours are
    hundreds of launches, however few the crops.

    Args:
        sampler: where they come from.
        seed: of all draws.
        batch_size: crops of a step.
        steps_at_once: how many steps' crops are drawn together.
        change, reduce: as `CropSampler.sample` takes them.
    """

    def __init__(
        self,
        sampler: CropSampler,
        seed: int,
        batch_size: int,
        steps_at_once: int,
        change: Change | None,
        reduce: Reduce | None = None,
    ) -> None:
        self._sampler = sampler
        self._seed = seed
        self._batch_size = batch_size
        self._steps_at_once = steps_at_once
        self._change = change
        self._reduce = reduce
        self._block: tuple[int, Crops] | None = None

    def of_step(self, step: int) -> Crops:
        """LR and HR crops of `step` (from 0), as `CropSampler.sample` gives them."""
        number, place = divmod(step, self._steps_at_once)
        if self._block is None or self._block[0] != number:
            rng = np.random.default_rng([self._seed, number, 1])
            count = self._steps_at_once * self._batch_size
            self._block = number, self._sampler.sample(rng, count, self._change, self._reduce)
        lr, hr = self._block[1]
        # Every so manieth: the first crops of a draw get the most leaves.
        return lr[place :: self._steps_at_once], hr[place :: self._steps_at_once]


def change_of(colours: bool, dead_leaves: float) -> Change | None:
    """What is done to HR crops before LR ones are made of them: leaves on a share of them, other colours."""
    if not colours and not dead_leaves:
        return None

    def changed(crops: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        crops = drop_leaves(crops, rng, dead_leaves) if dead_leaves else crops
        return color_jitter(crops, rng) if colours else crops

    return changed


def reduce_of(degrade: DegradeName, clean_share: float, scale: int) -> Reduce | None:
    """How LR crops are made of HR ones that are larger by a margin; None for bicubic reductions without one."""
    recipe = RECIPES[degrade]
    if recipe is None:
        return None
    return lambda levels, rng: degrade_crops(levels.cpu(), scale, recipe, clean_share, rng)
