"""What a page tells of a run, as far as it is committed, from its output alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast, get_args

import numpy as np
import pyarrow.dataset as pads

from arm_batch.budget.state import BudgetState, Terms
from arm_batch.budget.stored_state import read_state
from arm_batch.core.allocation.curve import CurvePoint, budget_curve
from arm_batch.core.allocation.measures import Objective
from arm_batch.core.arrays import Counts
from arm_batch.core.attempts import Attempt
from arm_batch.core.prediction.ladder import Ladder
from arm_batch.errors import LadderError, OutputError
from arm_batch.models.ladder_files import load_ladder, shipped_ladders
from arm_batch.runstate.attempts import read_attempts
from arm_batch.runstate.commit import committed
from arm_batch.runstate.generation import Generation, list_generations
from arm_batch.runstate.status import GenerationProgress, read_progress
from arm_batch.storage.base import ObjectStore

PATHS_SHOWN = 5
"""Of images that failed for the same reason."""


@dataclass(frozen=True)
class Reason:
    """Why images failed: the error, how many, and the first of them."""

    error: str
    images: int
    paths: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that a page tells but for its pictures.

    Attributes:
        url: of the output.
        settings: of the run.
        ladder: of the run.
        objective: of the run.
        progress: of each generation.
        attempts: by start.
        state: of the budget of the first generation.
        curve: of the first generation: what each spend is predicted to reach.
        spent: on the first generation, FLOPs.
        reached: in the figure of the objective, predicted of the first generation's allocation, dB; None where no
            image could be read.
        tiles: done, by rung.
        reasons: of failures, the most frequent first.
    """

    url: str
    settings: dict[str, str]
    ladder: Ladder
    objective: Objective
    progress: tuple[GenerationProgress, ...]
    attempts: tuple[Attempt, ...]
    state: BudgetState
    curve: tuple[CurvePoint, ...]
    spent: int
    reached: float | None
    tiles: tuple[int, ...]
    reasons: tuple[Reason, ...]

    @property
    def gain(self) -> float | None:
        """Predicted over interpolation, dB; None where no image could be read."""
        return None if self.reached is None else self.reached - self.curve[0].quality.of(self.objective)

    @property
    def seconds(self) -> float:
        """Wall time of all attempts together."""
        return sum(attempt.seconds for attempt in self.attempts)

    @property
    def full(self) -> int:
        """FLOPs of the costliest rung everywhere, first generation."""
        return self.state.first.full


def read_facts(store: ObjectStore, rows: pads.Dataset, ladder: str | None) -> Facts:
    """Gather the facts of a run.

    Args:
        store: the output.
        rows: that are committed.
        ladder: a shipped name or a folder; None to find it among the shipped ones.

    Raises:
        OutputError: there is no run, or it is not allocated yet.
        LadderError: the ladder is not that of the run.
        StoreError: the store cannot be read, or a record is damaged.
    """
    generations = list_generations(store)
    if not generations or generations[0].kind == "plan":
        raise OutputError(f"{store.url} holds no arm_batch run")
    first = generations[0]
    found, objective = _ladder(first, ladder), _objective(first)
    state = read_state(Terms(found, objective), store, first)
    commits = committed(store).values()
    record = state.current()
    counts = [np.zeros(len(found.subnets), np.int64), *(np.array(commit.subnet_tiles) for commit in commits)]
    return Facts(
        url=store.url,
        settings=first.settings,
        ladder=found,
        objective=objective,
        progress=tuple(read_progress(store, generations)),
        attempts=tuple(read_attempts(store)),
        state=state,
        curve=tuple(budget_curve(state.planner(range(first.shards)))) if record.histogram.images.any() else (),
        spent=sum(commit.flops for commit in commits if commit.shard.generation == 0),
        reached=None if record.quality is None else record.quality.of(objective),
        tiles=tuple(np.sum(counts, axis=0).tolist()),
        reasons=_reasons(rows),
    )


def tiles_by_score(facts: Facts) -> Counts:
    """Tiles that are allocated to each rung, by bin of the first score, ``(n_first, n_rungs)``."""
    lut = facts.ladder.lut
    per_bin = facts.state.current().allocation.tiles.sum(axis=0)
    first = len(lut.edges) + 1
    return np.asarray(per_bin.reshape(first, -1, per_bin.shape[1]).sum(axis=1), np.int64)


def _objective(generation: Generation) -> Objective:
    name = generation.settings.get("objective", "")
    if name not in get_args(Objective):
        raise OutputError(f"{generation.name} has the objective {name!r}, which this version does not know")
    return cast(Objective, name)


def _ladder(generation: Generation, name: str | None) -> Ladder:
    """The ladder that a generation was run with."""
    digest = generation.settings.get("ladder")
    for each in shipped_ladders() if name is None else [name]:
        ladder = load_ladder(each).ladder
        if ladder.digest == digest:
            return ladder
    told = "no shipped ladder is" if name is None else f"{name} is not"
    raise LadderError(f"{told} the one that this run had: give it with --ladder")


def _reasons(rows: pads.Dataset) -> tuple[Reason, ...]:
    """Why images failed, without what is only about one of them."""
    failed = rows.to_table(["path", "error"], filter=pads.field("status") == "failed")
    paths: dict[str, list[str]] = {}
    for row in failed.to_pylist():
        paths.setdefault(row["error"], []).append(row["path"])
    counted = Counter({error: len(names) for error, names in paths.items()})
    return tuple(
        Reason(error, count, tuple(sorted(paths[error])[:PATHS_SHOWN])) for error, count in counted.most_common()
    )


@dataclass(frozen=True)
class Totals:
    """Of all generations: images, of them done and failed, shards left, FLOPs that may be spent and are."""

    images: int
    done: int
    failed: int
    left: int
    budget: int
    spent: int


def totals_of(progress: Sequence[GenerationProgress]) -> Totals:
    """Add up generations. One that tries images again has neither images nor a budget of its own."""
    own = [row for row in progress if row.generation.kind != "retry"]
    return Totals(
        images=sum(row.generation.images for row in own),
        done=sum(row.done for row in progress),
        failed=sum(row.failed for row in progress),
        left=sum(row.left for row in progress),
        budget=sum(row.budget_flops or 0 for row in own),
        spent=sum(row.spent_flops for row in progress),
    )
