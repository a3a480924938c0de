"""What runs nets is decided once, recorded and kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arm_batch import open_dataset, pipeline
from arm_batch.core.arrays import Pixels
from arm_batch.errors import OutputError, UsageError
from arm_batch.execution import engines
from arm_batch.execution.engines import choose_engine
from arm_batch.models.ladder_files import LadderFiles, load_ladder
from arm_batch.models.runtimes import open as opening
from arm_batch.pipeline import generations
from arm_batch.runstate.generation import Generation, list_generations
from arm_batch.spec import Engine, JobSpec, PlanSpec, Precision, PrecisionWish, RuntimeName, RuntimeWish
from arm_batch.storage.local import LocalStore
from tests.archives import LADDER, job, make_archive, silent
from tests.image_files import by_opencv

PLAN = PlanSpec(input="in", executor="inline")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    return job(make_archive(tmp_path / "in"), tmp_path / "out", "40%")


def with_loss(monkeypatch: pytest.MonkeyPatch, *lost: float, native: bool = True) -> LadderFiles:
    """A ladder whose nets lose so much in bf16, on a machine that multiplies it, or does not."""
    monkeypatch.setattr(engines, "multiplies_bf16", lambda: native)
    return replace(load_ladder(LADDER), bf16_loss_db=lost or None)


def wishing(spec: JobSpec, runtime: RuntimeWish) -> JobSpec:
    return replace(spec, plan=replace(spec.plan, runtime=runtime))


def measured(monkeypatch: pytest.MonkeyPatch, seconds: list[float]) -> list[object]:
    """Make both runtimes be there, and these seconds what measuring finds; the list grows by each measurement."""
    calls: list[object] = []

    def compare(*asked: object) -> list[float]:
        calls.append(asked)
        return seconds

    monkeypatch.setattr(engines, "is_there", lambda _: True)
    monkeypatch.setattr(engines, "compare_engines", compare)
    monkeypatch.setattr(engines, "hardware", lambda device, engine: f"{device} with {engine}")
    return calls


@pytest.mark.parametrize(("seconds", "expected"), [([2.0, 1.0], "openvino"), ([1.0, 2.0], "torch")])
def test_auto_takes_the_faster_one_and_remembers(
    monkeypatch: pytest.MonkeyPatch, seconds: list[float], expected: RuntimeName
) -> None:
    calls, files = measured(monkeypatch, seconds), load_ladder(LADDER)
    assert [choose_engine(PLAN, files) for _ in range(2)] == [Engine(expected), Engine(expected)]
    assert len(calls) == 1


def test_without_the_other_one_there_is_nothing_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = measured(monkeypatch, [2.0, 1.0])
    monkeypatch.setattr(engines, "is_there", lambda runtime: runtime == "torch")
    assert choose_engine(PLAN, load_ladder(LADDER)) == Engine("torch")
    assert not calls


@pytest.mark.parametrize(
    ("lost", "native", "seconds", "expected"),
    [
        ((0.001, 0.02), True, [2.0, 1.0], "bf16"),
        ((0.001, 0.02), True, [1.0, 2.0], "fp32"),
        ((0.001, 0.021), True, [2.0, 1.0], "fp32"),
        ((0.001, 0.02), False, [2.0, 1.0], "fp32"),
        ((), True, [2.0, 1.0], "fp32"),
    ],
)
def test_bf16_where_nothing_is_lost_it_is_native_and_faster(
    monkeypatch: pytest.MonkeyPatch,
    lost: tuple[float, ...],
    native: bool,
    seconds: list[float],
    expected: Precision,
) -> None:
    measured(monkeypatch, seconds)
    monkeypatch.setattr(engines, "is_there", lambda runtime: runtime == "torch")
    files = with_loss(monkeypatch, *lost, native=native)
    assert choose_engine(PLAN, files) == Engine("torch", expected)


@pytest.mark.parametrize("wish", ["fp32", "bf16"])
def test_a_precision_that_was_asked_for(monkeypatch: pytest.MonkeyPatch, wish: PrecisionWish) -> None:
    monkeypatch.setattr(engines, "is_there", lambda runtime: runtime == "torch")
    files = with_loss(monkeypatch, 1.0, native=False)
    assert choose_engine(replace(PLAN, precision=wish), files).precision == wish


def test_bf16_is_recorded_and_kept_and_differs_in_few_levels(spec: JobSpec) -> None:
    exact = replace(spec, output=spec.output + "-exact", plan=replace(spec.plan, precision="fp32"))
    rounded = replace(spec, plan=replace(spec.plan, precision="bf16"))
    pipeline.upscale(exact, silent)
    pipeline.upscale(rounded, silent)
    (generation,) = list_generations(LocalStore(spec.output))
    assert generations.recorded_engine(generation) == Engine("torch", "bf16")
    assert pipeline.upscale(replace(spec, plan=replace(spec.plan, precision="auto")), silent).failed == 0
    with pytest.raises(OutputError, match=r"precision was 'bf16', is 'fp32'"):
        pipeline.upscale(replace(spec, plan=exact.plan), silent)
    pairs = zip(pixels_in(exact.output), pixels_in(spec.output), strict=True)
    apart = np.concatenate([np.abs(one.astype(int) - other).ravel() for one, other in pairs])
    assert 0 < apart.max() < 16
    assert apart.mean() < 1


def pixels_in(output: str) -> Iterator[Pixels]:
    """Of all images of an output, by path."""
    rows = open_dataset(output).to_table(["path", "image"]).sort_by("path").to_pylist()
    for row in rows:
        yield by_opencv(row["image"]["bytes"])


def test_a_runtime_that_is_not_there_is_refused_before_anything_is_written(
    spec: JobSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "is_there", lambda runtime: runtime == "torch")
    with pytest.raises(UsageError, match=r"has no OpenVINO"):
        pipeline.upscale(wishing(spec, "openvino"), silent)
    assert not Path(spec.output).exists() or not list(Path(spec.output).iterdir())


def test_an_unknown_runtime_is_refused(spec: JobSpec) -> None:
    with pytest.raises(UsageError, match="unknown runtime 'onnx'; known: auto, torch, openvino"):
        wishing(spec, "onnx")  # type: ignore[arg-type]


def test_what_was_decided_is_recorded_and_kept(spec: JobSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "is_there", lambda runtime: runtime == "torch")
    pipeline.upscale(wishing(spec, "auto"), silent)
    (generation,) = list_generations(LocalStore(spec.output))
    assert generation.settings["runtime"] == "torch"
    assert json.loads((Path(spec.output) / "run.json").read_text())["settings"]["runtime"] == "torch"

    def again(*_: Any) -> Engine:
        raise AssertionError("what is recorded needs no choice")

    monkeypatch.setattr(pipeline_upscale(), "choose_engine", again)
    pipeline.upscale(wishing(spec, "auto"), silent)
    pipeline.upscale(wishing(spec, "torch"), silent)
    with pytest.raises(OutputError, match=r"runtime was 'torch', is 'openvino'"):
        pipeline.upscale(wishing(spec, "openvino"), silent)


def test_a_run_of_before_there_was_a_choice_is_one_of_torch(spec: JobSpec) -> None:
    pipeline.upscale(wishing(spec, "torch"), silent)
    (generation,) = list_generations(LocalStore(spec.output))
    settings = {name: value for name, value in generation.settings.items() if name not in ("runtime", "precision")}
    assert generations.recorded_engine(_with(generation, settings)) == Engine("torch")
    assert generations.recorded_engine(_with(generation, settings | {"runtime": "openvino"})) == Engine("openvino")


def _with(generation: Generation, settings: dict[str, str]) -> Generation:
    import msgspec

    return msgspec.structs.replace(generation, settings=settings)


def pipeline_upscale() -> Any:
    """The module, whose name the package gives to its function."""
    import importlib

    return importlib.import_module("arm_batch.pipeline.upscale")
