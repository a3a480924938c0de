"""The budget of a generation as a value, and what events make of it.

`apply` is a pure function, so whoever knows the same events arrives at the same state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from arm_batch.budget.events import Begun, Event, Opened, Released, Revised, Settled, Timed
from arm_batch.budget.protocol import Standing
from arm_batch.budget.replanner import Replanner
from arm_batch.core.allocation.apportion import ShardAllocation, apportion
from arm_batch.core.allocation.curve import Planner
from arm_batch.core.allocation.histogram import ShardHistogram, class_count, gather
from arm_batch.core.allocation.knapsack import Allocation, cheapest
from arm_batch.core.allocation.ledger import Ledger
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.allocation.objective import predict
from arm_batch.core.allocation.replan import Work
from arm_batch.core.allocation.waves import Waves
from arm_batch.core.arrays import Counts
from arm_batch.core.prediction.ladder import Ladder
from arm_batch.errors import BudgetError
from arm_batch.runstate.allocation_record import AllocationRecord


@dataclass(frozen=True)
class Terms:
    """What all allocations of a generation go by.

    Attributes:
        ladder: costs and predictions.
        objective: what to make best.
    """

    ladder: Ladder
    objective: Objective

    def planner(self, parts: Iterable[ShardHistogram]) -> Planner:
        """For the allocation of shards, by the histogram of each."""
        ladder = self.ladder
        histogram = gather(parts, self.objective, ladder.lut)
        return Planner(
            objective=self.objective,
            lut=ladder.lut,
            histogram=histogram,
            costs=ladder.costs,
            tile_px=ladder.grid.tile**2,
        )


@dataclass(frozen=True)
class BudgetState:
    """The budget at one moment, from revision 0 on: that is for all shards, each further one for some.

    Attributes:
        terms: of its allocations.
        revisions: allocation records, in order. For each shard the last one that names it counts.
        parts: the histogram of each shard.
        shares: what each shard is allocated.
        costs: FLOPs of that, by shard.
        ledger: what is reserved and spent.
        opened: waves that have begun here.
        replanner: of a run with a budget of time, where this process has allocated it; nobody else has its clock.
    """

    terms: Terms
    revisions: tuple[AllocationRecord, ...]
    parts: tuple[ShardHistogram, ...]
    shares: tuple[ShardAllocation, ...]
    costs: tuple[int, ...]
    ledger: Ledger
    opened: frozenset[int] = frozenset()
    replanner: Replanner | None = None

    @staticmethod
    def begin(terms: Terms, first: Revised) -> BudgetState:
        """The state that revision 0 makes.

        Raises:
            BudgetError: it is of another ladder or objective, or does not allocate the tiles of its shards.
        """
        parts, total, waves = tuple(first.parts), first.record.total, first.record.waves
        none = tuple(ShardAllocation(part.cells, np.empty((0, 0), np.int64)) for part in parts)
        empty = BudgetState(terms, (), parts, none, (0,) * len(parts), Ledger.empty(total, waves))
        return _revise(empty, first)

    @property
    def first(self) -> AllocationRecord:
        """Revision 0."""
        return self.revisions[0]

    @property
    def last(self) -> AllocationRecord:
        """The newest revision."""
        return self.revisions[-1]

    @property
    def waves(self) -> Waves:
        """Of the generation."""
        return self.first.waves

    def cost(self, shards: Iterable[int]) -> int:
        """FLOPs that shards are allocated together."""
        return sum(self.costs[shard] for shard in shards)

    def has(self, reason: str) -> bool:
        """Whether there is a revision for a reason."""
        return any(record.reason == reason for record in self.revisions)

    def revision_of(self, shard: int) -> int:
        """The number of the revision that counts for a shard."""
        return max(number for number, record in enumerate(self.revisions) if shard in record.shards)

    def changes_open(self, record: AllocationRecord) -> bool:
        """Whether a revision is for shards of waves that have begun here."""
        return any(self.waves.of(shard) in self.opened for shard in record.shards)

    def waits_for(self, wave: int) -> list[int]:
        """The shards of waves that its allocation may depend on and that are not known to be done."""
        behind = (known for known in self.waves.known(wave) if not self.ledger.is_complete(known))
        return [
            shard for known in behind for shard in self.waves.members(known) if not self.ledger.is_settled(shard)
        ]

    def planner(self, shards: Iterable[int]) -> Planner:
        """For the allocation of some shards."""
        return self.terms.planner(self.parts[shard] for shard in shards)

    def allocation(self, shards: Iterable[int]) -> Allocation:
        """What some shards are allocated now, all together."""
        shards = list(shards)
        tiles = np.zeros_like(self.first.allocation.tiles)
        flat = tiles.reshape(-1, tiles.shape[-1])
        for shard in shards:
            flat[self.shares[shard].cells] += self.shares[shard].tiles
        return Allocation(tiles, self.cost(shards), self.last.allocation.marginal_value)

    def current(self) -> AllocationRecord:
        """What all shards are allocated now, over all revisions, and the total that may be spent."""
        allocation = self.allocation(range(len(self.shares)))
        some = self.first.histogram.images.any()
        quality = self.terms.planner(self.parts).predict(allocation) if some else None
        return replace(self.first, allocation=allocation, total=self.last.total, quality=quality)

    def standing(self) -> Standing:
        """How it stands: the gain is predicted of the shards that are done."""
        tiles = int(self.first.histogram.tiles.sum())
        done = sorted(self.ledger.done())
        planner = self.planner(done)
        if not planner.histogram.images.any():
            return Standing(tiles, self.last.total, None)
        interpolated = cheapest(planner.histogram.tiles, len(planner.costs))
        without = predict(planner.lut, planner.histogram, interpolated, planner.tile_px)
        reached = planner.predict(self.allocation(done))
        return Standing(tiles, self.last.total, reached.of(planner.objective) - without.of(planner.objective))

    def work(self, shards: Iterable[int]) -> Work:
        """What shards that are run as they are allocated now have to do."""
        tiles, pixels = np.zeros(len(self.first.costs)), 0.0
        for shard in shards:
            tiles += self.shares[shard].per_subnet
            pixels += float(self.parts[shard].pixels.sum())
        return Work(tiles, pixels)


def apply(state: BudgetState, event: Event) -> BudgetState:
    """The state after an event; the same object where it changes nothing, as a repeated event does.

    Raises:
        BudgetError: it is not allowed, or does not fit what is there.
    """
    match event:
        case Revised():
            return state if event.number < len(state.revisions) else _revise(state, event)
        case Settled():
            return _with(state, state.ledger.settle(event.flops))
        case Opened():
            return _open(state, event.wave)
        case Begun():
            return _begin(state, event)
        case Released():
            return _with(state, state.ledger.release(event.shard))
        case Timed():
            return replace(state, replanner=event.replanner)


def _with(state: BudgetState, ledger: Ledger) -> BudgetState:
    return state if ledger is state.ledger else replace(state, ledger=ledger)


def _open(state: BudgetState, wave: int) -> BudgetState:
    if wave in state.opened:
        return state
    if state.waits_for(wave):
        raise BudgetError(f"wave {wave} has to wait")
    return replace(state, opened=state.opened | {wave})


def _begin(state: BudgetState, event: Begun) -> BudgetState:
    wave = state.waves.of(event.shard)
    if wave not in state.opened:
        raise BudgetError(f"shard {event.shard} has to wait until wave {wave} begins")
    after = _with(state, state.ledger.reserve(event.shard, state.costs[event.shard]))
    replanner = after.replanner and after.replanner.begin(event.now_s)
    return after if replanner is after.replanner else replace(after, replanner=replanner)


def _revise(state: BudgetState, event: Revised) -> BudgetState:
    if event.number != len(state.revisions):
        raise BudgetError(f"revision {event.number} comes after {len(state.revisions)} others")
    terms, record = state.terms, event.record
    shape = (class_count(terms.objective), terms.ladder.lut.n_bins)
    if record.costs != tuple(terms.ladder.costs.tolist()) or record.histogram.tiles.shape != shape:
        raise BudgetError("was made for another ladder or objective")
    shares, costs = list(state.shares), list(state.costs)
    divided = _shares(record, [state.parts[shard] for shard in record.shards], len(state.revisions))
    for shard, share in zip(record.shards, divided, strict=True):
        shares[shard], costs[shard] = share, int(share.per_subnet @ terms.ladder.costs)
    return replace(
        state,
        revisions=(*state.revisions, record),
        shares=tuple(shares),
        costs=tuple(costs),
        ledger=replace(state.ledger, total=record.total),
    )


def _shares(record: AllocationRecord, parts: Sequence[ShardHistogram], number: int) -> list[ShardAllocation]:
    """What the revision of this number allocates to each of its shards."""
    if not parts:
        raise BudgetError("is for no shard")
    cells = np.concatenate([part.cells for part in parts])
    counts = np.concatenate([part.tiles for part in parts])
    counted = np.zeros(record.histogram.tiles.size, np.int64)
    np.add.at(counted, cells, counts)
    if (counted != record.histogram.tiles.ravel()).any():
        raise BudgetError("does not allocate the tiles of its shards")
    tiles: Counts = record.allocation.tiles.reshape(-1, len(record.costs))
    ends = np.cumsum([len(part.cells) for part in parts])[:-1]
    divided = np.split(apportion(tiles, cells, counts), ends)
    return [ShardAllocation(part.cells, share, number) for part, share in zip(parts, divided, strict=True)]
