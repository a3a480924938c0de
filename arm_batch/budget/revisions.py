"""The allocations of a generation: read from the store and written there, and shared out among its shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from arm_batch.core.allocation.apportion import Share, share_out
from arm_batch.core.allocation.curve import Planner
from arm_batch.core.allocation.histogram import ShardCensus, class_count, gather
from arm_batch.core.allocation.knapsack import Allocation
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.allocation.solve import Allocated
from arm_batch.core.allocation.waves import Waves
from arm_batch.core.arrays import Counts
from arm_batch.core.prediction.ladder import Ladder
from arm_batch.errors import StoreError
from arm_batch.runstate.allocation import allocation_key, read_allocation, write_allocation
from arm_batch.runstate.damage import LOST
from arm_batch.runstate.generation import Generation
from arm_batch.runstate.verdict import Verdict
from arm_batch.storage.base import ObjectStore


class Epochs:
    """Epoch 0 is for all shards, each further one for some. For each shard the last one that names it counts.

    Args:
        ladder: costs and predictions.
        objective: what to make best.
        output: where they lie.
        generation: whose they are.
    """

    def __init__(self, ladder: Ladder, objective: Objective, output: ObjectStore, generation: Generation) -> None:
        self._ladder = ladder
        self._objective = objective
        self._output = output
        self._generation = generation
        self._verdicts: list[Verdict] = []
        self._parts: Sequence[ShardCensus] = ()
        self._shares: list[Share] = []

    def __bool__(self) -> bool:
        """Whether epoch 0 is known."""
        return bool(self._verdicts)

    @property
    def first(self) -> Verdict:
        """Epoch 0."""
        return self._verdicts[0]

    @property
    def last(self) -> Verdict:
        """The newest epoch."""
        return self._verdicts[-1]

    @property
    def waves(self) -> Waves:
        """Of the generation."""
        return self.first.waves

    @property
    def parts(self) -> Sequence[ShardCensus]:
        """The census of each shard."""
        return self._parts

    def share(self, shard: int) -> Share:
        """What a shard is allocated."""
        return self._shares[shard]

    def cost(self, shards: Sequence[int]) -> int:
        """FLOPs of the shares of shards together."""
        return sum(int(self._shares[shard].per_subnet @ self._ladder.costs) for shard in shards)

    def of(self, shard: int) -> tuple[int, Verdict]:
        """The epoch that counts for a shard, and its number."""
        return max(
            (each for each in enumerate(self._verdicts) if shard in each[1].shards), key=lambda each: each[0]
        )

    def has(self, reason: str) -> bool:
        """Whether there is an epoch for a reason."""
        return any(verdict.reason == reason for verdict in self._verdicts)

    def refresh(self) -> list[Verdict]:
        """Read the epochs that were written since; returns them.

        Raises:
            StoreError: one is damaged.
        """
        known = len(self._verdicts)
        while (found := read_allocation(self._output, self._generation, len(self._verdicts))) is not None:
            self._append(*found)
        return self._verdicts[known:]

    def begin(self, found: Allocated, parts: Sequence[ShardCensus], waves: Waves) -> None:
        """Write epoch 0 down, unless there is one, which counts then.

        Args:
            found: the allocation.
            parts: the census of each shard.
            waves: that the shards are to begin in.
        """
        verdict = self._judge(self.planner_of(parts), found, range(len(parts)), waves, "plan")
        self._append(*write_allocation(self._output, self._generation, 0, verdict, parts))

    def add(self, shards: Sequence[int], found: Allocated, reason: str) -> Verdict:
        """Write a further epoch down, unless there is one of its number; returns the one that counts.

        Args:
            shards: that it is for.
            found: their allocation, and the total of the generation.
            reason: what it is for.
        """
        verdict = self._judge(self.planner(shards), found, shards, self.waves, reason)
        counted, _ = write_allocation(self._output, self._generation, len(self._verdicts), verdict, ())
        self._append(counted, self._parts)
        return counted

    def planner(self, shards: Sequence[int]) -> Planner:
        """For the allocation of some shards."""
        return self.planner_of([self._parts[shard] for shard in shards])

    def planner_of(self, parts: Sequence[ShardCensus]) -> Planner:
        """For the allocation of some shards, by the census of each."""
        ladder = self._ladder
        census = gather(parts, self._objective, ladder.lut)
        return Planner(
            objective=self._objective,
            lut=ladder.lut,
            census=census,
            costs=ladder.costs,
            tile_px=ladder.grid.tile**2,
        )

    def allocation(self, shards: Sequence[int]) -> Allocation:
        """What some shards are allocated now, all together."""
        tiles = np.zeros_like(self.first.allocation.tiles)
        flat = tiles.reshape(-1, tiles.shape[-1])
        for shard in shards:
            flat[self._shares[shard].cells] += self._shares[shard].tiles
        return Allocation(tiles, self.cost(shards), self.last.allocation.price)

    def current(self) -> Verdict:
        """What all shards are allocated now, over all epochs, and the total that may be spent."""
        allocation = self.allocation(range(len(self._shares)))
        quality = None
        if self.first.census.images.any():
            quality = self.planner_of(self._parts).predict(allocation)
        return replace(self.first, allocation=allocation, total=self.last.total, quality=quality)

    def overtaken(self) -> StoreError:
        """What to say where the newest epoch is somebody else's and cannot be gone on with."""
        told = f"another job has just allocated anew ({self.last.reason})"
        return StoreError(f"{self._output.url}: {told}: start again")

    def _judge(
        self, planner: Planner, found: Allocated, shards: Sequence[int], waves: Waves, reason: str
    ) -> Verdict:
        return Verdict(
            found.allocation,
            planner.census,
            found.total,
            planner.full,
            tuple(self._ladder.costs.tolist()),
            planner.predict(found.allocation) if planner.census.images.any() else None,
            tuple(shards),
            waves,
            reason,
            found.forecast,
        )

    def _append(self, verdict: Verdict, parts: Sequence[ShardCensus]) -> None:
        """Take an epoch up and share it out among its shards; `StoreError` where it is of another ladder."""
        shape = (class_count(self._objective), self._ladder.lut.n_bins)
        key = allocation_key(self._generation, len(self._verdicts))
        if verdict.costs != tuple(self._ladder.costs.tolist()) or verdict.census.tiles.shape != shape:
            raise StoreError(f"{self._output.url}/{key} was made for another ladder or objective; {LOST}")
        if not self._verdicts:
            self._parts = parts
            self._shares = [Share(part.cells, np.empty((0, 0), np.int64)) for part in parts]
        chosen = [self._parts[shard] for shard in verdict.shards]
        cells = np.concatenate([part.cells for part in chosen])
        counts = np.concatenate([part.tiles for part in chosen])
        counted = np.zeros(verdict.census.tiles.size, np.int64)
        np.add.at(counted, cells, counts)
        if (counted != verdict.census.tiles.ravel()).any():
            raise StoreError(f"{self._output.url}/{key} does not allocate the tiles of its shards; {LOST}")
        tiles: Counts = verdict.allocation.tiles.reshape(-1, len(verdict.costs))
        shares = np.split(share_out(tiles, cells, counts), np.cumsum([len(part.cells) for part in chosen])[:-1])
        for shard, part, share in zip(verdict.shards, chosen, shares, strict=True):
            self._shares[shard] = Share(part.cells, share, len(self._verdicts))
        self._verdicts.append(verdict)
