"""Where a run takes place if nobody says."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from arm_batch.execution import choice
from arm_batch.execution.choice import call_helpers, choose_executor, workers_here
from arm_batch.execution.helpers import Helpers
from arm_batch.spec import ExecutorName, PlanSpec


@pytest.fixture(autouse=True)
def nothing_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cluster, no note of one, no GPU."""
    for name in ("RAY_ADDRESS", "RAY_JOB_ID", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False))


def test_in_this_process_where_nothing_calls_for_a_cluster(tmp_path: Path) -> None:
    assert choose_executor("auto", tmp_path).executor == "inline"


@pytest.mark.parametrize("wish", ["ray", "inline"])
def test_what_is_asked_for_counts(wish: ExecutorName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert choose_executor(wish, tmp_path).executor == wish


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        # A submitted job has both, a worker the second.
        ({"RAY_ADDRESS": "10.0.0.1:6379"}, "RAY_ADDRESS"),
        ({"RAY_JOB_ID": "01000000"}, "environment"),
        ({"RAY_ADDRESS": "local"}, "environment"),
    ],
)
def test_the_environment_names_a_cluster(
    variables: dict[str, str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = choose_executor("auto", tmp_path)
    assert found.executor == "ray"
    assert reason in found.told(None)


def test_a_cluster_that_was_started_on_this_machine(tmp_path: Path) -> None:
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("10.0.0.1:6379")
    assert choose_executor("auto", tmp_path).executor == "ray"


def test_a_connection_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: True))
    assert choose_executor("auto", tmp_path).executor == "ray"


@pytest.mark.parametrize(("seen", "expected"), [(None, "ray"), ("0", "ray"), ("", "inline"), ("-1", "inline")])
def test_a_gpu_that_may_be_used(
    seen: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvidiactl").touch()
    assert choose_executor("auto", tmp_path).executor == "inline"
    (tmp_path / "nvidia0").touch()
    if seen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    assert choose_executor("auto", tmp_path).executor == expected


def test_a_core_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "usable_cores", lambda: 64)
    assert (workers_here(None), workers_here(3)) == (64, 3)


@pytest.mark.parametrize(
    ("executor", "workers", "expected"),
    [("inline", None, 7), ("inline", 3, 2), ("inline", 1, 0), ("ray", None, 0)],
)
def test_helpers_that_are_started_early(
    executor: ExecutorName, workers: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "usable_cores", lambda: 64)
    grown: list[int] = []
    helpers = Helpers()
    monkeypatch.setattr(helpers, "grow", grown.append)
    call_helpers(PlanSpec(input="in", ladder="l", scale=4, executor=executor, workers=workers), helpers)
    assert sum(grown) == expected
