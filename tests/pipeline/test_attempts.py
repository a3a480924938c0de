"""Who began a run and went on with it: records of attempts, and what `run.json` makes of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from arm_batch import pipeline, report
from arm_batch.core.attempts import Node
from arm_batch.core.progress import Progress
from arm_batch.errors import BudgetError, StoppedError
from arm_batch.execution.choice import Choice
from arm_batch.pipeline import summary as summary_module
from arm_batch.pipeline.attempt import AttemptLog
from arm_batch.pipeline.clock import Clock
from arm_batch.pipeline.telling import Telling
from arm_batch.runstate.attempts import ATTEMPTS, attempt_key, read_attempts, write_attempt
from arm_batch.spec import Resume
from arm_batch.storage.local import LocalStore
from tests.archives import draw, job, make_archive, silent, write_png
from tests.pipeline.test_resume import stop_after


def record(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "run.json").read_text())
    return found


def test_run_json_tells_who_where_and_how_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "argv", ["/opt/bin/arm-batch", "upscale", "https://me:word@host/list.txt?Sig=1", "out"]
    )
    archive, output = make_archive(tmp_path / "in"), tmp_path / "out"
    with pytest.raises(StoppedError):
        pipeline.upscale(job(archive, output, shard_images=2), *stop_after("run", 2))
    pipeline.upscale(job(archive, output, shard_images=2), silent)
    found = record(output)
    first, second = found["attempts"]
    assert (first["outcome"], second["outcome"]) == ("stopped", "done")
    assert first["command"] == "arm-batch upscale https://...@host/list.txt?... out"
    assert (second["executor"], len(second["nodes"]), second["nodes"][0]["gpus"]) == ("inline", 1, 0)
    assert second["progress"]["images_done"] == 7
    assert second["progress"]["shards_done"] == 4
    assert found["started"] == first["started"] <= second["started"] <= found["ended"]
    assert found["seconds"] == pytest.approx(first["seconds"] + second["seconds"])


def test_a_process_that_was_killed_stays_running(tmp_path: Path) -> None:
    archive, output = make_archive(tmp_path / "in"), tmp_path / "out"
    seen: list[str] = []

    def look(progress: Progress) -> None:
        if progress.stage == "run":
            seen.extend(attempt.outcome for attempt in read_attempts(LocalStore(str(output))))

    pipeline.upscale(job(archive, output), look)
    assert set(seen) == {"running"}
    assert [attempt.outcome for attempt in read_attempts(LocalStore(str(output)))] == ["done"]


def test_an_error_is_a_failure_and_comes_through(tmp_path: Path) -> None:
    archive, output = make_archive(tmp_path / "in"), tmp_path / "out"

    def fail(progress: Progress) -> None:
        if progress.stage == "run":
            raise RuntimeError("progress")

    with pytest.raises(RuntimeError, match="progress"):
        pipeline.upscale(job(archive, output), fail)
    assert [attempt.outcome for attempt in read_attempts(LocalStore(str(output)))] == ["failed"]


def test_what_makes_no_sense_leaves_no_attempt(tmp_path: Path) -> None:
    archive, output = make_archive(tmp_path / "in"), tmp_path / "out"
    with pytest.raises(BudgetError):
        pipeline.upscale(job(archive, output, budget="60dB"), silent)
    assert list(LocalStore(str(output)).list()) == []


def test_a_damaged_record_stops_nothing(tmp_path: Path) -> None:
    archive, output = make_archive(tmp_path / "in"), tmp_path / "out"
    pipeline.upscale(job(archive, output), silent)
    (found,) = (output / ATTEMPTS).iterdir()
    whole = found.read_bytes()
    found.write_bytes(whole[:-10])
    store = LocalStore(str(output))
    assert read_attempts(store) == []
    pipeline.upscale(job(archive, output), silent)
    assert record(output)["attempts"] == []
    found.write_bytes(whole)
    (attempt,) = read_attempts(store)
    write_attempt(store, structs.replace(attempt, attempt="b"))
    assert [each.attempt for each in read_attempts(store)] == sorted([attempt.attempt, "b"])
    assert attempt_key("b") == "attempts/b.json"


def test_of_two_drivers_the_last_to_finish_tells_of_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, output = make_archive(tmp_path / "in"), tmp_path / "out"
    original = report.run_document
    others: list[int] = []

    def while_another_extends(*arguments: Any) -> bytes:
        document = original(*arguments)
        if not others:
            # It has told of what it knows, and is about to write that down.
            others.append(1)
            write_png(archive / "new.png", draw(1, 40, 40))
            assert pipeline.upscale(job(archive, output, resume=Resume(extend=True)), silent).images == 8
        return document

    monkeypatch.setattr(summary_module, "run_document", while_another_extends)
    assert pipeline.upscale(job(archive, output), silent).images == 8
    found = record(output)
    assert (found["images"], len(found["generations"]), len(found["attempts"])) == (8, 2, 2)


class SetClock(Clock):
    """One that is set by hand."""

    at = 0.0

    @property
    def now(self) -> float:
        """See `Clock`."""
        return self.at


def test_it_is_written_soon_in_the_beginning_and_less_often_later(tmp_path: Path) -> None:
    store, clock = LocalStore(str(tmp_path)), SetClock()
    telling = Telling(clock, silent)
    log = AttemptLog(store, "a", clock, telling, "arm-batch upscale in out")
    heard: list[float] = []
    with log.kept(Choice("inline", "as was asked for"), "here", lambda: (Node("vm", 2, 0, None),)):
        for second in range(601):
            clock.at = float(second)
            telling()
            (attempt,) = read_attempts(store)
            heard += [attempt.seconds] if attempt.seconds not in heard else []
    assert heard[:4] == [0.0, 5.0, 10.0, 15.0]
    assert heard[-3:] == [heard[-1] - 60, heard[-1] - 30, heard[-1]]
    assert [attempt.outcome for attempt in read_attempts(store)] == ["done"]
