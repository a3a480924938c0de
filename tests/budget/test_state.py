"""The budget as a value, against a model that goes through the whole history each time it is asked."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arm_batch.budget.decisions import added_revision, first_revision, gives_back, wave_revision
from arm_batch.budget.events import Begun, Event, Opened, Released, Revised, Settled
from arm_batch.budget.state import BudgetState, Terms, apply
from arm_batch.core.allocation.apportion import apportion
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.allocation.histogram import ShardHistogram
from arm_batch.core.allocation.solve import Allocated
from arm_batch.core.allocation.waves import Waves
from arm_batch.core.prediction.ladder import Ladder, Subnet
from arm_batch.core.tiling.grid import TileGrid
from arm_batch.errors import BudgetError
from arm_batch.runstate.allocation_record import AllocationRecord
from tests.core.tables import COSTS, census_of, table

SUBNETS = tuple(Subnet(name, int(cost), int(cost)) for name, cost in zip(("bicubic", *"abc"), COSTS, strict=True))
TERMS = Terms(
    Ladder(name="l", scale=4, grid=TileGrid(32, 2), subnets=SUBNETS, lut=table(3), digest="digest"), "mse"
)


def parts_of(seed: int, shards: int) -> list[ShardHistogram]:
    rng = np.random.default_rng(seed)
    bins = [[rng.integers(0, 3, rng.integers(1, 12))] for _ in range(shards)]
    return [ShardHistogram.of(census_of("mse", TERMS.ladder.lut, images)) for images in bins]


def first_of(parts: Sequence[ShardHistogram], percent: int, waves: Waves) -> AllocationRecord:
    planner = TERMS.planner(parts)
    total = max(planner.floor, planner.full * percent // 100)
    return first_revision(TERMS, Allocated(planner.solve(total), total), parts, waves)


@dataclass
class Model:
    """All events that were allowed; whatever is asked is counted anew from them."""

    parts: Sequence[ShardHistogram]
    events: list[Event] = field(default_factory=list)

    def records(self) -> list[AllocationRecord]:
        return [event.record for event in self.events if isinstance(event, Revised)]

    def tiles(self, shard: int) -> list[list[int]]:
        record = [record for record in self.records() if shard in record.shards][-1]
        members = [self.parts[each] for each in record.shards]
        cells, counts = (np.concatenate([getattr(part, key) for part in members]) for key in ("cells", "tiles"))
        divided = apportion(record.allocation.tiles.reshape(-1, len(COSTS)), cells, counts)
        begin = sum(len(self.parts[each].cells) for each in record.shards if each < shard)
        own: list[list[int]] = divided[begin : begin + len(self.parts[shard].cells)].tolist()
        return own

    def cost(self, shard: int) -> int:
        return int((np.array(self.tiles(shard)) @ COSTS).sum())

    def opened(self) -> set[int]:
        return {event.wave for event in self.events if isinstance(event, Opened)}

    def settled(self) -> dict[int, int]:
        settled: dict[int, int] = {}
        for event in self.events:
            if isinstance(event, Settled):
                settled = dict(event.flops) | settled
        return settled

    def reserved(self) -> dict[int, int]:
        reserved: dict[int, int] = {}
        for place, event in enumerate(self.events):
            if isinstance(event, Begun) and event.shard not in Model(self.parts, self.events[:place]).settled():
                reserved[event.shard] = Model(self.parts, self.events[:place]).cost(event.shard)
            if isinstance(event, Released):
                reserved.pop(event.shard, None)
            if isinstance(event, Settled):
                reserved = {shard: flops for shard, flops in reserved.items() if shard not in event.flops}
        return reserved

    def allows(self, event: Event) -> bool:
        """Whether an event may come next, where it is neither a revision nor out of range."""
        waves, settled, reserved = self.records()[0].waves, self.settled(), self.reserved()
        total = self.records()[-1].total
        if isinstance(event, Opened):
            known = waves.start(max(0, event.wave - 1))
            return event.wave in self.opened() or all(shard in settled for shard in range(known))
        if isinstance(event, Begun):
            others = sum(flops for shard, flops in reserved.items() if shard != event.shard)
            same = event.shard in settled or reserved.get(event.shard) == self.cost(event.shard)
            fits = self.cost(event.shard) <= total - sum(settled.values()) - others
            return waves.of(event.shard) in self.opened() and (same or fits)
        if isinstance(event, Settled):
            if any(flops < 0 or settled.get(shard, flops) != flops for shard, flops in event.flops.items()):
                return False
            after = settled | dict(event.flops)
            others = sum(flops for shard, flops in reserved.items() if shard not in after)
            return after == settled or sum(after.values()) + others <= total
        return True


def agree(state: BudgetState, model: Model) -> None:
    settled, reserved = model.settled(), model.reserved()
    by_wave = state.ledger.by_wave
    assert {shard: flops for wave in by_wave for shard, flops in wave.settled.items()} == settled
    assert {shard: flops for wave in by_wave for shard, flops in wave.reserved.items()} == reserved
    assert (state.ledger.spent, state.ledger.total) == (sum(settled.values()), model.records()[-1].total)
    assert state.opened == model.opened()
    shards = range(len(model.parts))
    assert [share.tiles.tolist() for share in state.shares] == [model.tiles(shard) for shard in shards]
    assert list(state.costs) == [model.cost(shard) for shard in shards]
    assert state.current().allocation.spend == sum(state.costs)
    for wave in range(len(state.waves)):
        known = range(state.waves.start(max(0, wave - 1)))
        assert state.waits_for(wave) == [shard for shard in known if shard not in settled]


def next_event(state: BudgetState, chance: random.Random) -> Event:
    shard, wave = chance.randrange(len(state.parts)), chance.randrange(len(state.waves))
    spent = chance.choice([state.costs[shard], state.costs[shard] // 2, chance.randint(-1, 900)])
    left = [each for each in range(len(state.parts)) if not state.ledger.is_settled(each)]
    match chance.choice(["begun", "begun", "settled", "settled", "next", "next", "opened", "released", "revised"]):
        case "begun":
            return Begun(shard, 0.0)
        case "settled":
            return Settled({shard: spent})
        case "next":
            return Settled({each: state.costs[each] - chance.randint(0, 1) for each in left[:3]})
        case "opened":
            return Opened(wave)
        case "released":
            return Released(shard)
    number = len(state.revisions)
    if not left or chance.random() < 0.2:
        # As it was written down before.
        old = chance.randrange(number)
        return Revised(old, state.revisions[old], state.parts)
    return Revised(number, added_revision(state, parse_budget("20%"), f"added {number}"))


@given(st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_it_is_what_its_history_says(seed: int) -> None:
    chance = random.Random(seed)
    waves = Waves(tuple(chance.randint(1, 3) for _ in range(chance.randint(1, 5))))
    parts = parts_of(seed, waves.shards)
    first = Revised(0, first_of(parts, chance.choice([5, 30, 70]), waves), parts)
    state, model = BudgetState.begin(TERMS, first), Model(parts, [first])
    for _ in range(12):
        event = next_event(state, chance)
        before, again = state, isinstance(event, Revised) and event.number < len(state.revisions)
        allowed = model.allows(event)
        if allowed:
            state = apply(state, event)
            assert apply(state, event) is state
            if not again:
                model.events.append(event)
        else:
            with pytest.raises(BudgetError):
                apply(state, event)
        agree(state, model)
        assert not again or state is before


WAVES = Waves((2, 2, 2))
PARTS = parts_of(0, WAVES.shards)


def start(percent: int = 30) -> BudgetState:
    return BudgetState.begin(TERMS, Revised(0, first_of(PARTS, percent, WAVES), PARTS))


def test_what_a_wave_gives_back_is_spent_from_the_wave_after_the_next_on() -> None:
    state = apply(apply(start(), Opened(0)), Settled({0: start().costs[0], 1: 0}))
    spends = [state.ledger.by_wave[0].spent]
    assert gives_back(state, 2, spends)
    record = wave_revision(state, 2, spends, state.last.total, None, "wave 2")
    assert record.shards == (4, 5)
    assert record.allocation.spend > state.cost((4, 5))
    after = apply(state, Revised(1, record))
    assert after.costs[:4] == state.costs[:4]
    assert spends[0] + after.cost((2, 3, 4, 5)) <= after.last.total
    assert [after.revision_of(shard) for shard in range(6)] == [0, 0, 0, 0, 1, 1]


def test_where_nothing_was_given_back_there_is_nothing_to_spend() -> None:
    state = apply(apply(start(), Opened(0)), Settled({0: start().costs[0], 1: start().costs[1]}))
    assert not gives_back(state, 2, [state.ledger.by_wave[0].spent])
    assert not gives_back(state, 1, [])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"costs": (1, 2, 3, 4)}, "another ladder"),
        ({"shards": ()}, "for no shard"),
        ({"shards": (0, 1, 2, 3)}, "does not allocate the tiles of its shards"),
    ],
)
def test_a_revision_that_does_not_fit_is_refused(change: dict[str, Any], told: str) -> None:
    state = start()
    with pytest.raises(BudgetError, match=told):
        apply(state, Revised(1, replace(state.first, **change)))


def test_revisions_come_in_order() -> None:
    with pytest.raises(BudgetError, match="revision 2 comes after 1 others"):
        apply(start(), Revised(2, start().first))


def test_a_revision_of_what_is_open_is_noticed() -> None:
    state = apply(start(), Opened(1))
    assert state.changes_open(replace(state.first, shards=(1, 2)))
    assert not state.changes_open(replace(state.first, shards=(0, 1, 4, 5)))
