"""From the histogram of what was scored to what budgets come to for the whole archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from arm_batch.core.allocation.bootstrap import Interval, mean_interval, quality_intervals
from arm_batch.core.allocation.budget import Budget
from arm_batch.core.allocation.curve import CurvePoint, Planner, budget_curve, budget_flops, knee, point_at
from arm_batch.core.allocation.deadline import ClusterProfile, alone_seconds
from arm_batch.core.allocation.histogram import gather
from arm_batch.core.arrays import Counts, Floats
from arm_batch.errors import BudgetError
from arm_batch.execution.messages import JobContext, ShardSummary
from arm_batch.forecast import Asked, Estimate, Forecast, Outcome
from arm_batch.images import FORMATS
from arm_batch.spec import DryRunSpec

DRAWS = 400
"""Of the bootstrap: the ends of an interval then stand on ten draws each."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What planning found.

    Attributes:
        summaries: of the shards; of a sample each shard is one image.
        images: in the archive.
        scored: of them looked at.
        waiting: images that came to the input after the plan.
        skipped: what the input holds beside them.
    """

    summaries: Sequence[ShardSummary]
    images: int
    scored: int
    waiting: int
    skipped: tuple[str, ...]

    @property
    def failures(self) -> tuple[tuple[str, str], ...]:
        """Path of each image that cannot be read, and why."""
        return tuple((f.path, f.reason) for summary in self.summaries for f in summary.failures)

    @property
    def duplicates(self) -> int:
        """Images that are there already."""
        return sum(summary.duplicates for summary in self.summaries)


def forecast(
    spec: DryRunSpec,
    input_url: str,
    context: JobContext,
    scored: Scored,
    cluster_profile: ClusterProfile | None,
) -> Forecast:
    """What budgets are predicted to come to for the archive.

    Args:
        spec: what was asked for.
        input_url: of the archive.
        context: of the dry run.
        scored: what planning found.
        cluster_profile: the machines as measured; ``None`` where nothing was, and then no wall time is told.
    """
    archive = _Archive(spec, context, scored, cluster_profile)
    pixels = context.ladder.scale**2 * archive.pixels
    output_bytes = context.ladder.scale**2 * archive.bytes_unscaled
    curve = budget_curve(archive.planner) if archive.planner.full else []
    outcomes = archive.outcomes(curve)
    return Forecast(
        input=input_url,
        plan=None if spec.output is None else context.output.url,
        ladder=context.ladder.name,
        subnets=tuple(subnet.name for subnet in context.ladder.subnets),
        objective=spec.plan.objective,
        reference=context.ladder.lut.reference,
        format=spec.plan.writing.format,
        images=scored.images,
        scored=scored.scored,
        seed=None if spec.plan.selection.sample is None else spec.plan.selection.seed,
        failures=scored.failures,
        waiting=scored.waiting,
        skipped=scored.skipped,
        duplicates=scored.duplicates,
        tiles=archive.total(archive.tiles),
        full_flops=archive.total(archive.tiles * float(context.ladder.costs[-1])),
        output_pixels=archive.total(pixels),
        bytes_per_pixel=float(output_bytes.sum() / pixels.sum()) if pixels.any() else 0.0,
        output_bytes=archive.total(output_bytes),
        devices={} if cluster_profile is None else {pool.kind: pool.devices for pool in cluster_profile.pools},
        curve=tuple(outcomes),
        knee=outcomes[curve.index(knee(curve, spec.plan.objective))] if curve else None,
        asked=None if spec.budget is None else _asked(archive, spec.budget, bool(curve)),
    )


def _asked(archive: _Archive, budget: Budget, has_curve: bool) -> Asked:
    """What the one budget that was asked about comes to."""
    point, refused = archive.ask(budget) if has_curve else (None, None)
    return Asked(budget.text, None if point is None else archive.outcomes([point])[0], refused)


class _Archive:
    """The archive as far as it was scored, and how to go from there to all of it."""

    def __init__(
        self, spec: DryRunSpec, context: JobContext, scored: Scored, cluster_profile: ClusterProfile | None
    ) -> None:
        ladder = context.ladder
        self._parts = [summary.histogram for summary in scored.summaries]
        self._scored = scored
        self._cluster_profile = cluster_profile
        histogram = gather(self._parts, spec.plan.objective, ladder.lut)
        self.planner = Planner(
            objective=spec.plan.objective,
            lut=ladder.lut,
            histogram=histogram,
            costs=ladder.costs,
            tile_px=ladder.grid.tile**2,
        )
        self.tiles = np.array([part.tiles.sum() for part in self._parts], np.float64)
        # Also of images that are interpolated, which no histogram counts.
        self.pixels = np.array([sum(summary.pixels.values()) for summary in scored.summaries], np.float64)
        self.bytes_unscaled = np.array([_bytes(summary.pixels) for summary in scored.summaries], np.float64)
        self._draws: Counts | None = None
        if spec.plan.selection.sample is not None:
            size = len(self._parts)
            rng = np.random.default_rng([spec.plan.selection.seed, size])
            self._draws = rng.multinomial(size, np.full(size, 1 / size), DRAWS)

    def total(self, per_shard: Floats) -> Estimate:
        """Of the archive, from what each shard has."""
        images = self._scored.images
        value = float(per_shard.sum()) * images / self._scored.scored
        if self._draws is None:
            return Estimate(value, None)
        mean = mean_interval(per_shard, self._draws, self._seen)
        return Estimate(value, Interval(mean.low * images, mean.high * images))

    def outcomes(self, points: Sequence[CurvePoint]) -> list[Outcome]:
        """Of the archive, for points along its curve."""
        intervals: Sequence[Interval | None] = [None] * len(points)
        if self._draws is not None and points:
            intervals = quality_intervals(self.planner, self._parts, points, self._draws, self._seen)
        return [self._outcome(point, interval) for point, interval in zip(points, intervals, strict=True)]

    def ask(self, budget: Budget) -> tuple[CurvePoint | None, str | None]:
        """What a budget comes to, or why it comes to nothing."""
        try:
            flops = budget_flops(self.planner, budget)
            if budget.kind == "flops":
                flops = flops * self._scored.scored // self._scored.images
            return point_at(self.planner, flops), None
        except BudgetError as error:
            return None, str(error)

    @property
    def _seen(self) -> float:
        return self._scored.scored / self._scored.images

    def _outcome(self, point: CurvePoint, interval: Interval | None) -> Outcome:
        images, scored = self._scored.images, self._scored.scored
        tiles = [int(n) * images // scored for n in point.allocation.tiles.sum(axis=(0, 1))]
        seconds: dict[str, float] = {}
        if self._cluster_profile is not None:
            seconds = alone_seconds(
                self._cluster_profile, np.array(tiles), float(self.pixels.sum()) * images / scored
            )
        return Outcome(
            flops=point.spend * images // scored,
            share=point.spend / self.planner.full,
            predicted=point.quality,
            interval=interval,
            subnet_tiles=tuple(tiles),
            pool_seconds=seconds,
        )


def _bytes(pixels: Mapping[str, int]) -> float:
    return sum(count * FORMATS[format].bytes_per_pixel for format, count in pixels.items())
