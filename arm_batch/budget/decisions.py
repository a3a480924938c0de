"""What to write into the next revision: pure functions of the state and of what was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from arm_batch.budget.state import BudgetState, Terms
from arm_batch.core.allocation.budget import Budget
from arm_batch.core.allocation.curve import Planner
from arm_batch.core.allocation.histogram import ShardHistogram
from arm_batch.core.allocation.solve import Allocated
from arm_batch.core.allocation.waves import Waves
from arm_batch.errors import BudgetError
from arm_batch.runstate.allocation_record import AllocationRecord


def first_revision(
    terms: Terms, found: Allocated, parts: Sequence[ShardHistogram], waves: Waves
) -> AllocationRecord:
    """Revision 0: for all shards.

    Args:
        terms: of the generation.
        found: the allocation.
        parts: the histogram of each shard.
        waves: that the shards are to begin in.
    """
    return _record(terms.planner(parts), found, range(len(parts)), waves, "plan")


def gives_back(state: BudgetState, wave: int, spends: Sequence[int]) -> bool:
    """Whether there is something to spend from a wave on that was allocated to earlier ones.

    Args:
        state: with all waves settled that the wave may depend on.
        wave: that is to begin.
        spends: FLOPs that each of those waves has spent.
    """
    # What those before the last gave back, an earlier wave has begun with.
    known = state.waves.known(wave)
    return bool(known) and spends[-1] < state.cost(state.waves.members(known[-1]))


def wave_revision(
    state: BudgetState, wave: int, spends: Sequence[int], total: int, now_s: float | None, reason: str
) -> AllocationRecord:
    """A revision for all shards from a wave on.

    Args:
        state: with all waves settled that the wave may depend on.
        wave: that is to begin.
        spends: FLOPs that each of those waves has spent.
        total: FLOPs that the generation may spend.
        now_s: where the budget is a time, wall seconds since some moment; ``None`` where it is none.
        reason: what the revision is for.

    Raises:
        BudgetError: what is left is less than interpolation needs.
    """
    waves = state.waves
    under_way = range(waves.start(len(waves.known(wave))), waves.start(wave))
    spent = sum(spends) + state.cost(under_way)
    later = range(under_way.stop, waves.shards)
    planner = state.planner(later)
    found = None if now_s is None else _by_time(state, planner, later, spent, total, now_s)
    found = found or Allocated(planner.solve(total - spent), total)
    return _record(planner, found, later, waves, reason)


def added_revision(state: BudgetState, added: Budget, reason: str) -> AllocationRecord:
    """A revision for all shards that are not done, of a total that was raised.

    Args:
        state: of the generation.
        added: to the total.
        reason: what the revision is for.

    Raises:
        BudgetError: all shards are done.
    """
    left = [shard for shard in state.first.shards if not state.ledger.is_settled(shard)]
    if not left:
        raise BudgetError("every image is done: there is nothing to spend an added budget on")
    total = state.last.total + added.flops(state.first.full)
    planner = state.planner(left)
    return _record(planner, Allocated(planner.solve(total - state.ledger.spent), total), left, state.waves, reason)


def _by_time(
    state: BudgetState, planner: Planner, later: range, spent: int, total: int, now_s: float
) -> Allocated | None:
    """What shards that have not begun get of a budget of time; ``None`` for what FLOPs alone decide."""
    if state.replanner is not None:
        done, in_flight = state.ledger.done(), state.ledger.in_flight()
        waiting = sorted(set(range(later.start)) - done - in_flight)
        parts = (sorted(done), sorted(in_flight), waiting, later)
        progress = state.replanner.progress(now_s, *(state.work(shards) for shards in parts))
        timed = state.replanner.solve(planner, progress, spent)
        if timed is not None:
            return timed
    if total - spent == state.cost(later):
        # As before: the same FLOPs could take another time.
        return Allocated(state.allocation(later), total)
    return None


def _record(
    planner: Planner, found: Allocated, shards: Sequence[int], waves: Waves, reason: str
) -> AllocationRecord:
    histogram = planner.histogram
    return AllocationRecord(
        found.allocation,
        histogram,
        found.total,
        planner.full,
        tuple(planner.costs.tolist()),
        planner.predict(found.allocation) if histogram.images.any() else None,
        tuple(shards),
        waves,
        reason,
        found.forecast,
    )
