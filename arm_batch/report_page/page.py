"""The page: facts, charts and a sample in a template. It needs nothing from elsewhere, neither now nor later."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import resources
from importlib.util import find_spec

from arm_batch.core.allocation.budget import human_flops
from arm_batch.core.allocation.measures import measure_of
from arm_batch.errors import UsageError
from arm_batch.report_page.charts import curve_chart, histogram_chart, spend_chart
from arm_batch.report_page.colours import css
from arm_batch.report_page.facts import Facts, totals_of
from arm_batch.report_page.sample import Sample

TEMPLATE = "page.html.j2"


def check_extra() -> None:
    """Say before anything is read that no page can be made.

    Raises:
        UsageError: a library is missing.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("a report needs matplotlib: pip install 'arm-batch[plot]'")


def render_page(facts: Facts, sample: Sample | None) -> str:
    """The page as HTML.

    Args:
        facts: of the run.
        sample: an image to show; None for none.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"flops": human_flops, "duration": _duration, "moment": _moment}
    text = (resources.files("arm_batch.report_page") / TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(text).render(
        facts=facts,
        sample=sample,
        rungs=[(subnet.name, css(number)) for number, subnet in enumerate(facts.ladder.subnets)],
        totals=totals_of(facts.progress),
        measure=measure_of(facts.objective, facts.ladder.lut.reference),
        curve=curve_chart(facts) if facts.curve else "",
        histogram=histogram_chart(facts) if facts.curve else "",
        spend=spend_chart(facts) if facts.curve else "",
        points=_points(facts),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _points(facts: Facts) -> list[tuple[float, float, float]]:
    """The curve for those who do not see it: share of the spend in %, dB, and gain over interpolation."""
    first = facts.curve[0].quality.of(facts.objective) if facts.curve else 0.0
    told = []
    for point in facts.curve[:: max(1, len(facts.curve) // 10)]:
        reached = point.quality.of(facts.objective)
        told.append((100 * point.spend / facts.full, reached, reached - first))
    return told


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"
