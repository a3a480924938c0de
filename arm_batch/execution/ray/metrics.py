"""What Prometheus is told of a run, through Ray's own exporter on each node.

Names get ``ray_`` in front there; docs/operations.md lists them with their units. Counters count what this driver
has seen done, so they begin at nothing when a run goes on; gauges tell how the run stands.
"""

from __future__ import annotations

from ray.util.metrics import Counter, Gauge

from arm_batch.core.prediction.ladder import Ladder
from arm_batch.core.progress import Progress
from arm_batch.execution.messages import ShardSummary
from arm_batch.runstate.commit import Commit

PREFIX = "arm_batch_"

_MOST_REASONS = 30
"""Each makes a series in Prometheus; further ones count as ``other``."""


class RunMetrics:
    """The metrics of one run in this process.

    Args:
        ladder: of the run.
        run: its output, which tells runs apart.
    """

    def __init__(self, ladder: Ladder, run: str) -> None:
        self._ladder = ladder
        tags = {"run": run}
        self._images = _counter("images_total", "Images through the stage `run`.", tags, "status")
        self._tiles = _counter("tiles_total", "Tiles upscaled.", tags, "rung")
        self._flops = _counter("flops_total", "Executed FLOPs.", tags, "rung")
        self._failures = _counter("plan_failures_total", "Images that cannot be read.", tags, "reason")
        self._shards = _counter("shards_lost_total", "Attempts at shards that lost a worker.", tags)
        self._seconds = _gauge("stage_seconds", "Wall seconds since the stage began.", tags, "stage")
        self._workers = _gauge("workers", "Workers in service.", tags, "kind")
        self._of_run = {
            name: _gauge(name, told, tags)
            for name, told in (
                ("images", "Images of the generation."),
                ("images_done", "Of them through the stage."),
                ("budget_flops", "FLOPs that may be spent on the generation."),
                ("spent_flops", "FLOPs spent of them."),
                ("gain_db", "Predicted gain over interpolation of what is done, dB."),
                ("eta_seconds", "Seconds until the stage is through, at the speed of lately."),
            )
        }
        self._reasons: set[str] = set()
        self._stage, self._stage_began_s = "", 0.0

    def committed(self, commit: Commit) -> None:
        """Count a shard that is committed."""
        for status, images in (("ok", commit.rows - commit.failures), ("failed", commit.failures)):
            if images:
                self._images.inc(images, {"status": status})
        for subnet, tiles in zip(self._ladder.subnets, commit.subnet_tiles, strict=True):
            if tiles:
                self._tiles.inc(tiles, {"rung": subnet.name})
                self._flops.inc(tiles * subnet.flops, {"rung": subnet.name})

    def planned(self, summary: ShardSummary) -> None:
        """Count what of a shard cannot be upscaled, by what its errors begin with."""
        for failure in summary.failures:
            reason = failure.reason.partition(":")[0]
            if reason not in self._reasons and len(self._reasons) >= _MOST_REASONS:
                reason = "other"
            self._reasons.add(reason)
            self._failures.inc(1, {"reason": reason})

    def lost(self) -> None:
        """Count an attempt at a shard that lost its worker."""
        self._shards.inc(1)

    def watch(self, progress: Progress) -> None:
        """Tell how the run stands."""
        if progress.stage != self._stage:
            self._stage, self._stage_began_s = progress.stage, progress.seconds
        self._seconds.set(progress.seconds - self._stage_began_s, {"stage": progress.stage})
        for kind, number in progress.workers.items():
            self._workers.set(number, {"kind": kind})
        for name, gauge in self._of_run.items():
            value = getattr(progress, name)
            if value is not None:
                gauge.set(value)


def _counter(name: str, told: str, tags: dict[str, str], *keys: str) -> Counter:
    counter = Counter(PREFIX + name, description=told, tag_keys=("run", *keys))
    counter.set_default_tags(tags)
    return counter


def _gauge(name: str, told: str, tags: dict[str, str], *keys: str) -> Gauge:
    gauge = Gauge(PREFIX + name, description=told, tag_keys=("run", *keys))
    gauge.set_default_tags(tags)
    return gauge
