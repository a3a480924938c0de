"""Which crops a training step sees."""

from __future__ import annotations

import numpy as np
import torch

from arm_batch.nets.colours import vary_colours
from arm_batch.nets.data import Change, Crops, CropSampler
from arm_batch.nets.leaves import drop_leaves


class Draws:
    """The crops of every step, a function of the seed and the step alone, on whatever device.

    Those of several steps may be drawn together. On a GPU that is faster: laying leaves and varying colours are
    hundreds of launches, however few the crops.

    Args:
        sampler: where they come from.
        seed: of all draws.
        batch_size: crops of a step.
        steps_at_once: how many steps' crops are drawn together.
        change: as `CropSampler.sample` takes it.
    """

    def __init__(
        self, sampler: CropSampler, seed: int, batch_size: int, steps_at_once: int, change: Change | None
    ) -> None:
        self._sampler = sampler
        self._seed = seed
        self._batch_size = batch_size
        self._steps_at_once = steps_at_once
        self._change = change
        self._block: tuple[int, Crops] | None = None

    def of_step(self, step: int) -> Crops:
        """LR and HR crops of `step` (from 0), as `CropSampler.sample` gives them."""
        number, place = divmod(step, self._steps_at_once)
        if self._block is None or self._block[0] != number:
            rng = np.random.default_rng([self._seed, number, 1])
            self._block = number, self._sampler.sample(rng, self._steps_at_once * self._batch_size, self._change)
        lr, hr = self._block[1]
        # Every so manieth: the first crops of a draw get the most leaves.
        return lr[place :: self._steps_at_once], hr[place :: self._steps_at_once]


def change_of(colours: bool, leaves: float) -> Change | None:
    """What is done to HR crops before LR ones are made of them: leaves on a share of them, other colours."""
    if not colours and not leaves:
        return None

    def changed(crops: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        crops = drop_leaves(crops, rng, leaves) if leaves else crops
        return vary_colours(crops, rng) if colours else crops

    return changed
