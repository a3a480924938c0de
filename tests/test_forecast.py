"""A dry run's result as a person reads it."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console

from arm_batch.cli.forecast import forecast_lines, forecast_table
from arm_batch.core.allocation.bootstrap import Interval
from arm_batch.core.allocation.objective import Quality
from arm_batch.forecast import Asked, Estimate, Forecast, Outcome


def outcome(percent: int, decibels: float) -> Outcome:
    return Outcome(
        flops=percent * 10**9,
        share=percent / 100,
        predicted=Quality(0, 0, decibels),
        interval=None,
        subnet_tiles=(1, 2),
        pool_seconds={"cpu": 7200.0, "gpu": 60.0},
    )


CURVE = tuple(outcome(percent, 25 + percent / 100) for percent in (1, 5, 10, 19, 40, 42, 70, 100))

FORECAST = Forecast(
    input="/in",
    plan=None,
    ladder="fsrcnn-x4",
    subnets=("bicubic", "fsrcnn-56"),
    objective="image-psnr",
    reference=None,
    format="webp",
    images=1000,
    scored=1000,
    seed=None,
    failures=(),
    waiting=0,
    skipped=(),
    duplicates=0,
    tiles=Estimate(123_456, None),
    full_flops=Estimate(100e9, None),
    output_pixels=Estimate(2_000_000_000, None),
    bytes_per_pixel=0.18,
    output_bytes=Estimate(360_000_000, None),
    devices={"cpu": 16, "gpu": 1},
    curve=CURVE,
    knee=CURVE[5],
    asked=None,
)


def table(forecast: Forecast) -> list[list[str]]:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(forecast_table(forecast))
    return [line.split() for line in capture.get().splitlines() if "FLOP" in line][1:]


def test_the_table_shows_round_spends_the_knee_and_what_was_asked() -> None:
    shown = table(FORECAST)
    assert [row[0] for row in shown] == ["1.0%", "5.0%", "10.0%", "19.0%", "40.0%", "42.0%", "70.0%", "100.0%"]
    assert shown[0] == ["1.0%", "1.00", "GFLOP", "25.01", "+0.00", "2.0", "h", "60.0", "s", "bicubic"]
    assert shown[5][-1] == "knee"
    asked = table(replace(FORECAST, asked=Asked("33%", outcome(33, 25.33), None)))
    assert ["33.0%", "33.00", "GFLOP", "25.33", "+0.32", "2.0", "h", "60.0", "s", "33%"] in asked
    same = table(replace(FORECAST, asked=Asked("42%", CURVE[5], None)))
    assert (len(same), same[5][-2:]) == (len(shown), ["knee,", "42%"])


def test_the_lines_tell_how_sure_a_sample_is() -> None:
    lines = "\n".join(forecast_lines(FORECAST))
    assert "images     1,000 (0 cannot be upscaled)" in lines
    assert "100%       100.00 GFLOP: fsrcnn-56 everywhere" in lines
    assert "2,000,000,000 pixels; about 360.0 MB as webp" in lines
    assert "predicted" in lines
    assert "time       expected after planning with 16 cpu or 1 gpu, from" in lines
    assert "time" not in "\n".join(forecast_lines(replace(FORECAST, devices={})))
    sample = replace(
        FORECAST, seed=7, scored=50, full_flops=Estimate(100e9, Interval(90e9, 110e9)), waiting=3, plan="/plan"
    )
    lines = "\n".join(forecast_lines(sample))
    assert "1,000, of which 50 drawn at random (seed 7) were scored" in lines
    assert "100.00 GFLOP (90.00 GFLOP to 110.00 GFLOP)" in lines
    assert "3 images came to the input later" in lines
    assert "/plan" in lines


def test_without_a_curve_or_with_a_refused_budget_they_say_so() -> None:
    empty = replace(FORECAST, curve=(), knee=None, asked=Asked("70dB", None, "no budget reaches 70 dB"))
    lines = "\n".join(forecast_lines(replace(empty, output_pixels=Estimate(0, None))))
    assert "none: no image can be read" in lines
    assert "none: all images are in two tones, dithered or thin" in "\n".join(forecast_lines(empty))
    assert "asked      70dB: no budget reaches 70 dB" in lines
