"""When a wave of shards may begin, and with what: where that has changed, all later shards are allocated anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from arm_batch.budget.quota_claim import PoolClaim
from arm_batch.budget.revisions import Epochs
from arm_batch.budget.timekeeper import Timekeeper
from arm_batch.core.allocation.solve import Allocated
from arm_batch.runstate.verdict import Verdict


class WaveOpener:
    """Opens the waves of a generation in order.

    What it decides on is in the store, or written there before it counts: so all drivers open a wave alike.

    Args:
        epochs: of the generation, epoch 0 among them when the first wave opens.
        settled: by shard the FLOPs of those that are committed; its owner keeps it up to date.
        claim: on a pool, where the budget is one.
        timed: whether the budget is a time.
    """

    def __init__(self, epochs: Epochs, settled: Mapping[int, int], claim: PoolClaim | None, timed: bool) -> None:
        self._epochs = epochs
        self._settled = settled
        self._claim = claim
        self._timed = timed
        self._open: set[int] = set()
        self.keeper: Timekeeper | None = None
        """Of a run with a budget of time, where this process has allocated it; nobody else knows its clock."""

    def is_open(self, wave: int) -> bool:
        """Whether the shards of a wave may begin."""
        return wave in self._open

    def waits_for(self, wave: int) -> list[int]:
        """The shards of waves that its allocation may depend on and that are not known to be committed."""
        waves = self._epochs.waves
        return [shard for shard in range(waves.start(len(waves.known(wave)))) if shard not in self._settled]

    def open(self, wave: int) -> None:
        """Let a wave that is ready begin, with what is written down for it.

        Raises:
            BudgetError: its pool has let the generation go, and does not take it up again.
            StoreError: somebody else has changed what is open.
        """
        spends = [
            (self._spent(known), self._epochs.cost(self._shards(known)))
            for known in self._epochs.waves.known(wave)
        ]
        # What is decided by the clock has to be written down always, or two drivers would decide it differently.
        anew = bool(spends) and (self._timed or spends[-1][0] < spends[-1][1])
        while anew and not self._epochs.has(f"wave {wave}"):
            self._allocate_anew(wave, f"wave {wave}")
        while not self._claimed(wave):
            self._allocate_anew(wave, f"wave {wave}, another grant")
        self._open.add(wave)

    def check_untouched(self, verdicts: Sequence[Verdict]) -> None:
        """Refuse epochs of others that change what is open here.

        Raises:
            StoreError: one does.
        """
        changed = (self._epochs.waves.of(shard) for verdict in verdicts for shard in verdict.shards)
        if not self._open.isdisjoint(changed):
            raise self._epochs.overtaken()

    def _shards(self, wave: int) -> range:
        return self._epochs.waves.members(wave)

    def _spent(self, wave: int) -> int:
        """What a wave that is settled has spent; its pool hears of it too."""
        spent = sum(self._settled[shard] for shard in self._shards(wave))
        return spent if self._claim is None else self._claim.settle(wave, spent)

    def _claimed(self, wave: int) -> bool:
        """Whether a wave may begin with what it is allocated; always, where the budget is no pool's."""
        if self._claim is None:
            return True
        epoch, verdict = self._epochs.of(self._shards(wave)[0])
        return self._claim.begin(wave, self._epochs.cost(self._shards(wave)), epoch, verdict.total)

    def _allocate_anew(self, wave: int, reason: str) -> None:
        """Add an epoch over all waves from this one on, or take up the one that somebody else has added."""
        waves = self._epochs.waves
        known = waves.known(wave)
        under_way = range(waves.start(len(known)), waves.start(wave))
        spent = sum(self._spent(each) for each in known) + self._epochs.cost(under_way)
        later = range(under_way.stop, waves.shards)
        if self._epochs.add(later, self._allocate(later, spent), reason).reason != reason:
            self.check_untouched([self._epochs.last])

    def _allocate(self, later: range, spent: int) -> Allocated:
        """What shards that have not begun get, where all others have spent so much or will."""
        planner = self._epochs.planner(later)
        if self.keeper is not None:
            timed = self.keeper.allocate(planner, later, self._settled.keys(), spent)
            if timed is not None:
                return timed
        total = self._epochs.last.total if self._claim is None else self._claim.grant()
        if self._timed and total - spent == self._epochs.cost(later):
            # As before: the same FLOPs could take another time.
            return Allocated(self._epochs.allocation(later), total)
        return Allocated(planner.solve(total - spent), total)
