"""Training as a job: the entry point hands its options to ``arm-batch train``."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from arm_batch.cli import exit_codes
from arm_batch.training.checkpoints import WEIGHTS
from tests.archives import draw, write_png

SCRIPT = Path(__file__).parents[1] / "jobs" / "train_supernet.py"


def submit(monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    """Exit code of the script."""
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *options])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    return int(caught.value.code or 0)


def test_a_submitted_training_writes_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(5):
        write_png(tmp_path / "photos" / f"{seed}.png", draw(seed, 260, 260))
    options = ["--data", str(tmp_path / "photos"), "--out", str(tmp_path / "out"), "--scale", "2"]
    assert submit(monkeypatch, *options, "--steps", "1", "--crop", "8", "--batch", "1") == 0
    assert (tmp_path / "out" / WEIGHTS).is_file()


def test_wrong_options_end_as_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = submit(monkeypatch, "--data", str(tmp_path), "--out", str(tmp_path / "out"))
    assert code == exit_codes.USAGE
    assert "no images below" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
