"""How far a run has come: a state that events change, and what a caller is told of it at one moment.

No clock is read here: whoever has one says what time it is, in wall seconds since the run began.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from msgspec import structs

from arm_batch.core.json_records import Record

Stage = Literal["list", "start", "plan", "run"]
"""``list``: what INPUT and OUTPUT hold; ``start``: of workers; ``plan``: read and score; ``run``: upscale."""

WINDOW_S = 120.0
"""Speeds are those of so long: a minute tells little where shards take seconds, an hour hides that one stalls."""

SAMPLE_EVERY_S = 1.0
"""How close the points lie that speeds are taken from."""


class Progress(Record, frozen=True, kw_only=True):
    """How far a run has come at one moment, as a caller is told. Counts are those of one generation.

    Attributes:
        stage: that it is in.
        generation: such as ``g0000``; empty before there is one.
        seconds: of wall time since the command began.
        shards: of the generation.
        shards_done: through the stage.
        images: of the generation.
        images_done: through the stage, failed ones included.
        images_failed: of them.
        images_per_second: through the stage, lately; None before it is known.
        tiles: of the generation; None before all are counted.
        tiles_done: through the stage.
        tiles_per_second: through the stage, lately; None before it is known.
        spent_flops: executed.
        budget_flops: that may be; None before it is known.
        gain_db: predicted of what is done, over interpolation; None before it is known.
        eta_seconds: until the stage is through, at the speed of lately; None before it is known.
        workers: that are in service, by kind of device.
    """

    stage: Stage
    generation: str
    seconds: float
    shards: int
    shards_done: int
    images: int
    images_done: int
    images_failed: int
    images_per_second: float | None
    tiles: int | None
    tiles_done: int
    tiles_per_second: float | None
    spent_flops: int
    budget_flops: int | None
    gain_db: float | None
    eta_seconds: float | None
    workers: dict[str, int]

    def after(self, seconds: float) -> Progress:
        """The same so many seconds later, where nothing has been heard since."""
        left = None if self.eta_seconds is None else max(0.0, self.eta_seconds - seconds)
        return structs.replace(self, seconds=round(self.seconds + seconds, 3), eta_seconds=left)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What is through a stage.

    Attributes:
        shards: how many.
        images: of them, failed ones included.
        failed: images.
        tiles: of them.
        flops: executed for them.
    """

    shards: int = 0
    images: int = 0
    failed: int = 0
    tiles: int = 0
    flops: int = 0

    def __add__(self, other: Done) -> Done:
        return Done(
            shards=self.shards + other.shards,
            images=self.images + other.images,
            failed=self.failed + other.failed,
            tiles=self.tiles + other.tiles,
            flops=self.flops + other.flops,
        )


@dataclass(frozen=True)
class Entered:
    """A stage begins; what an earlier attempt did of it is done already, and says nothing of speed."""

    stage: Stage
    generation: str = ""
    shards: int = 0
    images: int = 0
    before: Done = Done()


@dataclass(frozen=True)
class UnderWay:
    """What of the shards that are not through is through, all together."""

    done: Done


@dataclass(frozen=True)
class Allocated:
    """The generation has so many tiles, and so many FLOPs may be spent on it."""

    tiles: int
    budget_flops: int


@dataclass(frozen=True)
class Gained:
    """What is done is predicted to be better than interpolation by so many dB."""

    gain_db: float | None


@dataclass(frozen=True)
class Manned:
    """So many workers are in service, by kind of device."""

    workers: dict[str, int]


Event = Entered | Done | UnderWay | Allocated | Gained | Manned


@dataclass(frozen=True)
class ProgressState:
    """All that is known of how far a run has come.

    Attributes:
        entered: the stage.
        done: of it, shard by shard.
        under_way: of shards that are not through.
        allocated: None before it is.
        gain_db: see `Progress`.
        workers: see `Progress`.
        samples: times and what was done then, oldest first, from which speeds follow; at least one.
    """

    entered: Entered = Entered("list")
    done: Done = Done()
    under_way: Done = Done()
    allocated: Allocated | None = None
    gain_db: float | None = None
    workers: tuple[tuple[str, int], ...] = ()
    samples: tuple[tuple[float, Done], ...] = ((0.0, Done()),)


def apply(state: ProgressState, event: Event, now_s: float) -> ProgressState:
    """The state after an event at a time."""
    match event:
        case Entered():
            same = event.generation == state.entered.generation
            return replace(
                state,
                entered=event,
                done=event.before,
                under_way=Done(),
                allocated=state.allocated if same else None,
                gain_db=None,
                samples=((now_s, event.before),),
            )
        case Done():
            return _sampled(replace(state, done=state.done + event), now_s)
        case UnderWay():
            return _sampled(replace(state, under_way=event.done), now_s)
        case Allocated():
            return replace(state, allocated=event)
        case Gained():
            return replace(state, gain_db=event.gain_db)
        case Manned():
            return replace(state, workers=tuple(sorted(event.workers.items())))


def snapshot(state: ProgressState, now_s: float) -> Progress:
    """What a caller is told at a time."""
    entered, done, allocated = state.entered, state.done + state.under_way, state.allocated
    seconds, then = _lately(state.samples, now_s)
    images, tiles = _speed(done.images - then.images, seconds), _speed(done.tiles - then.tiles, seconds)
    known = entered.stage == "run" and allocated is not None
    return Progress(
        stage=entered.stage,
        generation=entered.generation,
        seconds=round(now_s, 3),
        shards=entered.shards,
        shards_done=done.shards,
        images=entered.images,
        images_done=done.images,
        images_failed=done.failed,
        images_per_second=images,
        tiles=None if allocated is None else allocated.tiles,
        tiles_done=done.tiles,
        tiles_per_second=tiles,
        spent_flops=done.flops if entered.stage == "run" else 0,
        budget_flops=None if allocated is None else allocated.budget_flops,
        gain_db=state.gain_db,
        # Images differ in size; tiles are what takes the time, once all are counted.
        eta_seconds=_left(allocated.tiles - done.tiles, tiles)
        if known and allocated is not None and allocated.tiles
        else _left(entered.images - done.images, images),
        workers=dict(state.workers),
    )


def _sampled(state: ProgressState, now_s: float) -> ProgressState:
    """With one more sample, unless the last is of just now; without those that lie too far back, but for one."""
    if now_s - state.samples[-1][0] < SAMPLE_EVERY_S:
        return state
    kept = list(state.samples)
    while len(kept) > 1 and kept[1][0] <= now_s - WINDOW_S:
        kept.pop(0)
    return replace(state, samples=(*kept, (now_s, state.done + state.under_way)))


def _lately(samples: tuple[tuple[float, Done], ...], now_s: float) -> tuple[float, Done]:
    """The seconds since a sample that lies about a window back, or else the first, and what was done then."""
    old = [sample for sample in samples if sample[0] <= now_s - WINDOW_S]
    then, done = old[-1] if old else samples[0]
    return now_s - then, done


def _speed(done: int, seconds: float) -> float | None:
    return done / seconds if done > 0 and seconds > 0 else None


def _left(left: int, speed: float | None) -> float | None:
    return None if speed is None else max(left, 0) / speed
