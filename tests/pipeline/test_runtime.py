"""The runtime of a run is decided once, recorded and kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arm_batch import pipeline
from arm_batch.errors import OutputError, UsageError
from arm_batch.execution import runtimes
from arm_batch.execution.runtimes import choose_runtime
from arm_batch.models.ladder_files import load_ladder
from arm_batch.models.runtimes import open as opening
from arm_batch.pipeline import generations
from arm_batch.runstate.generation import Generation, list_generations
from arm_batch.spec import JobSpec, RuntimeName, RuntimeWish
from arm_batch.storage.local import LocalStore
from tests.archives import LADDER, job, make_archive, silent


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    return job(make_archive(tmp_path / "in"), tmp_path / "out", "40%")


def wishing(spec: JobSpec, runtime: RuntimeWish) -> JobSpec:
    return replace(spec, plan=replace(spec.plan, runtime=runtime))


def measured(monkeypatch: pytest.MonkeyPatch, seconds: list[float]) -> list[object]:
    """Make both runtimes be there, and these seconds what measuring finds; the list grows by each measurement."""
    calls: list[object] = []

    def compare(*asked: object) -> list[float]:
        calls.append(asked)
        return seconds

    monkeypatch.setattr(runtimes, "is_there", lambda _: True)
    monkeypatch.setattr(runtimes, "compare_runtimes", compare)
    monkeypatch.setattr(runtimes, "hardware", lambda device, runtime: f"{device} with {runtime}")
    return calls


@pytest.mark.parametrize(("seconds", "expected"), [([2.0, 1.0], "openvino"), ([1.0, 2.0], "torch")])
def test_auto_takes_the_faster_one_and_remembers(
    monkeypatch: pytest.MonkeyPatch, seconds: list[float], expected: RuntimeName
) -> None:
    calls, files = measured(monkeypatch, seconds), load_ladder(LADDER)
    assert [choose_runtime("auto", files) for _ in range(2)] == [expected, expected]
    assert len(calls) == 1


def test_without_the_other_one_there_is_nothing_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = measured(monkeypatch, [2.0, 1.0])
    monkeypatch.setattr(runtimes, "is_there", lambda runtime: runtime == "torch")
    assert choose_runtime("auto", load_ladder(LADDER)) == "torch"
    assert not calls


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
    monkeypatch.setattr(runtimes, "is_there", lambda runtime: runtime == "torch")
    pipeline.upscale(wishing(spec, "auto"), silent)
    (generation,) = list_generations(LocalStore(spec.output))
    assert generation.settings["runtime"] == "torch"
    assert json.loads((Path(spec.output) / "run.json").read_text())["settings"]["runtime"] == "torch"

    def again(*_: Any) -> RuntimeName:
        raise AssertionError("what is recorded needs no choice")

    monkeypatch.setattr(pipeline_upscale(), "choose_runtime", again)
    pipeline.upscale(wishing(spec, "auto"), silent)
    pipeline.upscale(wishing(spec, "torch"), silent)
    with pytest.raises(OutputError, match=r"runtime was 'torch', is 'openvino'"):
        pipeline.upscale(wishing(spec, "openvino"), silent)


def test_a_run_of_before_there_was_a_choice_is_one_of_torch(spec: JobSpec) -> None:
    pipeline.upscale(wishing(spec, "torch"), silent)
    (generation,) = list_generations(LocalStore(spec.output))
    settings = {name: value for name, value in generation.settings.items() if name != "runtime"}
    assert generations.recorded_runtime(_with(generation, settings)) == "torch"
    assert generations.recorded_runtime(_with(generation, settings | {"runtime": "openvino"})) == "openvino"


def _with(generation: Generation, settings: dict[str, str]) -> Generation:
    import msgspec

    return msgspec.structs.replace(generation, settings=settings)


def pipeline_upscale() -> Any:
    """The module, whose name the package gives to its function."""
    import importlib

    return importlib.import_module("arm_batch.pipeline.upscale")
