"""The command line as a person meets it: exit codes, one clear line, nothing written on wrong usage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arm_batch import cli
from tests.archives import make_archive, make_messy_archive


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    with pytest.raises(SystemExit) as caught:
        cli.main(list(arguments))
    out, err = capsys.readouterr()
    return int(caught.value.code or 0), out, err


def test_done_is_0_and_tells_what_was_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = make_archive(tmp_path / "in")
    code, out, _ = run(
        capsys, "upscale", str(archive), str(tmp_path / "out"), "--executor", "inline", "--budget", "30%"
    )
    assert code == 0
    assert "7 (0 failed)" in out
    assert "30%" in out
    assert json.loads((tmp_path / "out" / "run.json").read_text())["images"] == 7


def test_failed_images_end_with_3_and_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = make_messy_archive(tmp_path / "in")
    code, out, err = run(capsys, "upscale", str(archive), str(tmp_path / "out"), "--executor", "inline")
    assert code == cli.EXIT_FAILED_IMAGES
    assert "6 (3 failed)" in out
    assert "3 of 6 images failed" in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--budget", "0%"], "more than nothing"),
        (["--budget", "40"], "cannot read the budget"),
        (["--budget", "1FLOP"], "interpolation alone needs"),
        (["--ladder", "nowhere"], "neither a folder"),
        (["--scale", "3"], "ladder for x4"),
        (["--format", "gif"], "unknown format"),
    ],
)
def test_wrong_usage_is_2_in_one_line_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    archive = make_archive(tmp_path / "in")
    code, out, err = run(capsys, "upscale", str(archive), str(tmp_path / "out"), "--executor", "inline", *options)
    assert code == cli.EXIT_USAGE
    assert out == ""
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_missing_input_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "upscale", str(tmp_path / "missing"), str(tmp_path / "out"), "--executor", "inline")
    assert code == cli.EXIT_USAGE
    assert "does not exist" in err
    assert not (tmp_path / "out").exists()


def test_a_damaged_ladder_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = make_archive(tmp_path / "in")
    (tmp_path / "ladder").mkdir()
    (tmp_path / "ladder" / "ladder.json").write_text("{}")
    arguments = ["upscale", str(archive), str(tmp_path / "out"), "--executor", "inline"]
    code, _, err = run(capsys, *arguments, "--ladder", str(tmp_path / "ladder"))
    assert code == cli.EXIT_USAGE
    assert "not a readable ladder" in err


def test_an_unknown_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "upscale", "a", "b", "--no-such-option")[0] == cli.EXIT_USAGE
