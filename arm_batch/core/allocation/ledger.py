"""What of a budget is reserved, spent and free: a value, and what can happen to it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from arm_batch.core.allocation.waves import Waves
from arm_batch.errors import BudgetError


@dataclass(frozen=True)
class WaveLedger:
    """The FLOPs of one wave, by shard. Apart, so that what happens to a shard copies those of its wave only.

    Attributes:
        reserved: neither settled nor released.
        settled: really spent.
    """

    reserved: Mapping[int, int]
    settled: Mapping[int, int]

    @cached_property
    def spent(self) -> int:
        """FLOPs settled."""
        return sum(self.settled.values())


@dataclass(frozen=True)
class Ledger:
    """Reservations of shards against a total, in FLOPs.

    Whatever happens may happen again with the same arguments and changes nothing the second time: a remote caller
    cannot know whether its first call arrived. `reserve` and `settle` leave ``spent + reserved <= total``.

    Attributes:
        total: that may be spent. May be replaced by less than is reserved; then nothing can be reserved any more.
        waves: that the shards begin in.
        by_wave: what is reserved and spent.
    """

    total: int
    waves: Waves
    by_wave: tuple[WaveLedger, ...]

    @staticmethod
    def empty(total: int, waves: Waves) -> Ledger:
        """Before anything is reserved; `BudgetError` for a negative total."""
        if total < 0:
            raise BudgetError(f"a budget of {total} FLOPs is negative")
        return Ledger(total, waves, (WaveLedger({}, {}),) * len(waves))

    @property
    def spent(self) -> int:
        """FLOPs settled."""
        return sum(wave.spent for wave in self.by_wave)

    @property
    def reserved(self) -> int:
        """FLOPs reserved and neither settled nor released."""
        return sum(sum(wave.reserved.values()) for wave in self.by_wave)

    @property
    def free(self) -> int:
        """FLOPs that can still be reserved."""
        return self.total - self.spent - self.reserved

    def is_reserved(self, shard: int) -> bool:
        """Whether a shard has a reservation that is neither settled nor released."""
        return shard in self._of(shard).reserved

    def is_settled(self, shard: int) -> bool:
        """Whether a shard is done."""
        return shard in self._of(shard).settled

    def is_complete(self, wave: int) -> bool:
        """Whether all shards of a wave are done."""
        return len(self.by_wave[wave].settled) == self.waves.sizes[wave]

    def in_flight(self) -> frozenset[int]:
        """The shards that have a reservation."""
        return frozenset(shard for wave in self.by_wave for shard in wave.reserved)

    def done(self) -> frozenset[int]:
        """The shards that are settled."""
        return frozenset(shard for wave in self.by_wave for shard in wave.settled)

    def reserve(self, shard: int, flops: int) -> Ledger:
        """Set FLOPs aside for a shard, instead of what it had reserved; for one that is settled nothing happens.

        Raises:
            BudgetError: they are not there.
        """
        wave = self._of(shard)
        if shard in wave.settled or wave.reserved.get(shard) == flops:
            return self
        if flops < 0:
            raise BudgetError(f"shard {shard} cannot reserve {flops} FLOPs")
        free = self.free + wave.reserved.get(shard, 0)
        if flops > free:
            raise BudgetError(f"shard {shard} asks for {flops:,} FLOPs, {free:,} are free")
        return self._with(shard, replace(wave, reserved={**wave.reserved, shard: flops}))

    def settle(self, spent: Mapping[int, int]) -> Ledger:
        """Note what shards have really spent, by shard; the rest of their reservations is free again.

        Raises:
            BudgetError: so much is not there, or one was settled before at another amount.
        """
        by_wave: dict[int, dict[int, int]] = {}
        for shard, flops in spent.items():
            before = self._of(shard).settled.get(shard, flops)
            if before != flops or flops < 0:
                told = f"shard {shard} was settled at {before:,} FLOPs, not" if flops >= 0 else "nothing spends"
                raise BudgetError(f"{told} {flops:,}")
            if not self.is_settled(shard):
                by_wave.setdefault(self.waves.of(shard), {})[shard] = flops
        if not by_wave:
            return self
        waves = list(self.by_wave)
        for place, new in by_wave.items():
            reserved = _without(waves[place].reserved, new)
            waves[place] = WaveLedger(reserved, {**waves[place].settled, **new})
        after = replace(self, by_wave=tuple(waves))
        if after.free < 0:
            shards = ", ".join(map(str, spent))
            raise BudgetError(f"shards {shards[:80]}: {-after.free:,} FLOPs more than there are")
        return after

    def release(self, shard: int) -> Ledger:
        """Give a shard's reservation back, if it has one."""
        wave = self._of(shard)
        if shard not in wave.reserved:
            return self
        return self._with(shard, replace(wave, reserved=_without(wave.reserved, (shard,))))

    def _of(self, shard: int) -> WaveLedger:
        return self.by_wave[self.waves.of(shard)]

    def _with(self, shard: int, wave: WaveLedger) -> Ledger:
        place = self.waves.of(shard)
        return replace(self, by_wave=(*self.by_wave[:place], wave, *self.by_wave[place + 1 :]))


def _without(amounts: Mapping[int, int], shards: Container[int]) -> dict[int, int]:
    return {shard: flops for shard, flops in amounts.items() if shard not in shards}
