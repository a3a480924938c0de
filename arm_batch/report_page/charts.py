"""Charts as SVG, in the colour of the text around them, so that they suit light and dark pages."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from arm_batch.core.allocation.measures import measure_of
from arm_batch.report_page.colours import css
from arm_batch.report_page.facts import Facts, tiles_by_score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK = "#010203"
"""Stands for the colour of the text until the drawing is done."""

_LINE = css(1)
_POINT = css(5)


def curve_chart(facts: Facts) -> str:
    """Predicted quality over spend, with where this run stands; SVG."""

    def draw(axes: Axes) -> None:
        shares = [100 * point.spend / facts.full for point in facts.curve]
        axes.plot(
            shares, [point.quality.of(facts.objective) for point in facts.curve], color=_LINE, label="predicted"
        )
        if facts.reached is not None:
            share = 100 * facts.state.current().allocation.spend / facts.full
            axes.plot(share, facts.reached, "D", color=_POINT, markersize=9, label="this run")
        axes.set_xlabel(f"executed FLOPs, % of {facts.ladder.subnets[-1].name} everywhere")
        axes.set_ylabel(f"{measure_of(facts.objective, facts.ladder.lut.reference)}, dB")
        axes.set_xlim(0, 100)
        axes.legend(loc="lower right", frameon=False, labelcolor=_INK)

    return _svg(draw, "curve")


def histogram_chart(facts: Facts) -> str:
    """Tiles by score, and which rungs they get; SVG."""
    tiles = tiles_by_score(facts)

    def draw(axes: Axes) -> None:
        bottom = np.zeros(len(tiles))
        for rung, subnet in enumerate(facts.ladder.subnets):
            axes.bar(np.arange(len(tiles)), tiles[:, rung], 0.9, bottom, color=css(rung), label=subnet.name)
            bottom += tiles[:, rung]
        score = facts.ladder.lut.scores[0].name
        axes.set_xlabel(f"bin of the score `{score}`: little detail to the left, much to the right")
        axes.set_ylabel("tiles")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, labelcolor=_INK)

    return _svg(draw, "histogram")


def spend_chart(facts: Facts) -> str:
    """Where the FLOPs go: by score, and by rung; SVG."""
    spend = tiles_by_score(facts) * facts.ladder.costs
    share = 100 * spend / max(int(spend.sum()), 1)

    def draw(axes: Axes) -> None:
        bottom = np.zeros(len(share))
        for rung in range(share.shape[1]):
            axes.bar(np.arange(len(share)), share[:, rung], 0.9, bottom, color=css(rung))
            bottom += share[:, rung]
        axes.set_xlabel("bin of the same score")
        axes.set_ylabel("% of the spend")

    return _svg(draw, "spend")


def _svg(draw: Callable[[Axes], None], name: str) -> str:
    """What is drawn, as an SVG element that fills the width it is given."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # Of each chart other ids, since they share a page; text stays text, for those who search or enlarge it.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif", "font.size": 11}):
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.grid(alpha=0.25, color=_INK)
        axes.tick_params(colors=_INK)
        axes.set_facecolor("none")
        axes.xaxis.label.set_color(_INK)
        axes.yaxis.label.set_color(_INK)
        for side, spine in axes.spines.items():
            spine.set_color(_INK)
            spine.set_visible(side in ("left", "bottom"))
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    return text[text.index("<svg") :].replace(_INK, "currentColor")
