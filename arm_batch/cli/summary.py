"""What became of a run, in a few lines for a person."""

from __future__ import annotations

from arm_batch.core.allocation.budget import human_flops
from arm_batch.core.allocation.measures import measure_of
from arm_batch.core.prediction.ladder import INTERPOLATION
from arm_batch.report import RUN_KEY, RunSummary


def describe(summary: RunSummary) -> list[str]:
    """The run in a few lines for a person."""
    share = summary.spent_flops / summary.full_flops if summary.full_flops else 0.0
    tiles = ", ".join(f"{name} {count:,}" for name, count in summary.subnet_tiles.items())
    seconds = summary.timings
    lines = [
        f"images     {summary.images:,} ({summary.failed:,} failed)",
        f"budget     {summary.budget} = {human_flops(summary.budget_flops)}{_more(summary)}",
        f"spent      {human_flops(summary.spent_flops)}, {share:.2%} of the largest subnet everywhere",
        f"tiles      {tiles}",
        f"predicted  {_predicted(summary)}",
        f"time       list {seconds.list_seconds:.1f} s, start {seconds.start_seconds:.1f} s, "
        f"plan {seconds.plan_seconds:.1f} s, run {seconds.run_seconds:.1f} s",
        f"output     {summary.output} (record: {RUN_KEY})",
    ]
    if summary.ran:
        lines.insert(-2, f"ran        {summary.ran}")
    if summary.expected_seconds is not None:
        lines.insert(-1, f"expected   {summary.expected_seconds:.1f} s in all, from measured speeds")
    if summary.repaired:
        lines.append(f"repaired   {len(summary.repaired):,} problems")
    if summary.waiting:
        lines.append(f"new        {summary.waiting:,} images came to the input later: --extend takes them up")
    if summary.duplicates:
        lines.append(f"copies     {summary.duplicates:,} images have the output of another of the same bytes")
    lines += [f"left out   {line}" for line in summary.skipped]
    return lines


def _predicted(summary: RunSummary) -> str:
    """The gain, as far as the table's errors are from the truth: what its pictures reach, others may not."""
    if summary.predicted is None or summary.interpolated is None:
        return "-"
    measure = measure_of(summary.objective, summary.reference)
    figure, base = (each.of(summary.objective) for each in (summary.predicted, summary.interpolated))
    if summary.reference is not None:
        return f"{figure:.2f} dB ({measure}, from the LUT)"
    return f"{figure - base:+.2f} dB over {INTERPOLATION} everywhere ({measure}, from the LUT)"


def _more(summary: RunSummary) -> str:
    """What to say of a budget that nothing can use up; of whatever kind it is."""
    return ", more than everything takes" if summary.budget_flops > summary.full_flops else ""
