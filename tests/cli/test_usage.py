"""Wrong usage, line by line: one line that names the thing and says what to do, exit code 2, nothing written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from arm_batch.cli import exit_codes
from arm_batch.models.ladder_files import find_ladder
from tests.archives import ALONE, LADDER, draw, make_archive, write_png
from tests.test_cli import run

FIXED = (*ALONE, "--ladder", LADDER)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command that is refused says: one line."""
    code, out, err = run(capsys, *map(str, arguments))
    assert (code, out) == (exit_codes.USAGE, "")
    assert err.startswith("arm-batch: ")
    assert err.count("\n") == 1
    return err


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "in")


@pytest.mark.parametrize("command", ["upscale", "plan"])
def test_an_output_that_is_a_file(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (tmp_path / "out").write_text("mine")
    place = [tmp_path / "out"] if command == "upscale" else ["--plan-out", tmp_path / "out"]
    assert "is a file, or below one: give a folder" in refused(capsys, command, archive, *place, *FIXED)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(("command", "told"), [("upscale", "OUTPUT"), ("plan", "--plan-out")])
def test_an_output_that_cannot_be_made(
    archive: Path, capsys: pytest.CaptureFixture[str], command: str, told: str
) -> None:
    place = ["/proc/out"] if command == "upscale" else ["--plan-out", "/proc/out", "--no-profiling"]
    err = refused(capsys, command, archive, *place, *FIXED)
    assert f"{told} cannot be written: /proc/out: No such file or directory" in err
    assert "probe-" not in err


@pytest.mark.parametrize("text", ["{}", "hello", ""])
def test_a_ladder_that_is_none(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    shutil.copytree(find_ladder(LADDER), tmp_path / "ladder")
    (tmp_path / "ladder" / "ladder.json").write_text(text)
    err = refused(capsys, "upscale", archive, tmp_path / "out", *ALONE, "--ladder", tmp_path / "ladder")
    assert f"{tmp_path / 'ladder'}" in err
    assert "is not a readable ladder" in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--scale", "2"], "fsrcnn-x4 is a ladder for x4, not x2"),
        (["--target-psnr", "-3"], "a target PSNR of -3 dB is none"),
        (["--float-range", "1,0"], "a range of samples from 1 to 0 is none"),
        (["--frames", "last"], "'last' says nothing of frames: write first, refuse, or a number from 0"),
        (["--endpoint-url", "http://localhost:9"], "are no s3:// URLs"),
        (["--min-size", "many"], "'many' is no size of a file: write such as 20KB"),
        (["--min-size", "1GB"], "--min-size 1000000000 leaves none of 7 images"),
        (["--allow-failures", "some"], "write a number of images, or a share of them such as 1%"),
        (["--allow-failures", "101%"], "--allow-failures '101%'"),
        (["--output", "elsewhere"], "OUTPUT is given twice"),
        (["--config", "nowhere.toml"], "--config nowhere.toml: No such file or directory"),
    ],
)
def test_options_that_make_no_sense(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    assert told in refused(capsys, "upscale", archive, tmp_path / "out", *FIXED, *options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("budget", ["101%", "1000PFLOP"])
def test_a_budget_that_nothing_can_use_up_is_said_to_be_one(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], budget: str
) -> None:
    code, out, _ = run(capsys, "upscale", str(archive), str(tmp_path / "out"), *FIXED, "--budget", budget)
    assert code == 0
    assert f"budget     {budget} = " in out
    assert ", more than everything takes\n" in out
    assert "100.00% of the largest subnet everywhere" in out


def test_what_a_failed_try_left_is_no_hindrance(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["upscale", archive, tmp_path / "out", *FIXED]
    assert "no budget reaches 60 dB" in refused(capsys, *command, "--target-psnr", "60")
    (tmp_path / "out" / "attempts").mkdir(parents=True, exist_ok=True)
    (tmp_path / "out" / "attempts" / f"{'a' * 32}.json").write_text("{}")
    assert run(capsys, *map(str, command))[0] == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    err = refused(capsys, "upscale", archive, tmp_path / "mine", *FIXED)
    assert "is not empty and holds no arm_batch run (notes.txt)" in err


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("list.txt", b"a.png\nb.png\n", "holds nothing that can be read; a.png: does not exist"),
        ("list.csv", b"path\na.png\n", "holds nothing that can be read; a.png: does not exist"),
        ("garbage.tar", b"garbage" * 1000, "holds nothing that can be read; garbage.tar: is not a tar file"),
        ("empty.tar", b"", "holds nothing that can be read"),
    ],
)
def test_one_file_of_which_nothing_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes, told: str
) -> None:
    (tmp_path / name).write_bytes(data)
    assert told in refused(capsys, "upscale", tmp_path / name, tmp_path / "out", *FIXED)
    assert not (tmp_path / "out").exists()


def test_a_list_with_one_image_that_is_there_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_png(tmp_path / "b.png", draw(0, 40, 40))
    (tmp_path / "list.txt").write_text("a.png\nb.png\n")
    code, out, _ = run(capsys, "upscale", str(tmp_path / "list.txt"), str(tmp_path / "out"), *FIXED)
    assert (code, "2 (1 failed)" in out) == (exit_codes.FAILED_IMAGES, True)


@pytest.mark.parametrize(("name", "format"), [("b.png", "PNG"), ("b.jpg", "JPEG"), ("b.WEBP", "WEBP")])
def test_one_image_becomes_one_file(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, format: str
) -> None:
    target = tmp_path / name
    code, out, _ = run(capsys, "upscale", str(archive / "a.png"), "-o", str(target), *FIXED)
    assert (code, f"output     {target}\n" in out, "run.json" in out) == (0, True, False)
    with Image.open(target) as image:
        assert (image.size, image.format) == ((360, 280), format)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "in"])
    err = refused(capsys, "upscale", archive / "a.png", target, *FIXED)
    assert "is there already: give another name" in err


def test_one_image_that_its_format_cannot_hold_gets_another_name(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "upscale", str(archive / "sixteen.png"), str(tmp_path / "b.jpg"), *FIXED)
    assert (code, f"output     {tmp_path / 'b.png'}\n" in out) == (0, True)


def test_one_image_that_fails_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    code, _, err = run(capsys, "upscale", str(tmp_path / "a.png"), str(tmp_path / "b.png"), *FIXED)
    assert (code, "a.png: empty file" in err) == (exit_codes.FAILED_IMAGES, True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("output", "options", "told"),
    [
        ("b.bmp", [], ".bmp cannot be written; known: .png"),
        ("b.png", ["--format", "jpeg"], "--format jpeg asks for another"),
        ("b.png", ["--repair"], "no run stays to go on with: give a folder"),
        ("no/b.png", [], "there is no folder"),
    ],
)
def test_one_file_that_makes_no_sense(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str, options: list[str], told: str
) -> None:
    err = refused(capsys, "upscale", archive / "a.png", tmp_path / output, *FIXED, *options)
    assert told in err


def test_some_failures_may_be_allowed(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (archive / "empty.png").write_bytes(b"")
    command = ["upscale", str(archive), str(tmp_path / "out"), *FIXED]
    for allowed, code in (
        ("1", 0),
        ("12.5%", 0),
        ("12%", exit_codes.FAILED_IMAGES),
        ("0", exit_codes.FAILED_IMAGES),
    ):
        found, _, err = run(capsys, *command, "--allow-failures", allowed)
        assert (found, "empty.png: empty file" in err) == (code, True)
        assert ("no more than --allow-failures" in err) == (code == 0)


def test_small_and_large_files_are_left_out(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = sorted(path.stat().st_size for path in archive.rglob("*.png"))
    bounds = ["--min-size", str(sizes[1]), "--skip-larger-than", f"{sizes[-2]}B"]
    code, out, _ = run(capsys, "upscale", str(archive), str(tmp_path / "out"), *FIXED, *bounds)
    assert (code, "images     5 (0 failed)" in out) == (0, True)
    assert "left out   2 images by --min-size and --skip-larger-than" in out


def test_options_come_from_a_file(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        f'input = "{archive}"\noutput = "{tmp_path / "out"}"\nbudget = "30%"\nexecutor = "inline"\nworkers = 1\n'
        f'ladder = "{LADDER}"\ninclude = "deep/"\nstrip-metadata = true\n'
    )
    code, out, _ = run(capsys, "upscale", "--config", str(config))
    assert (code, "budget     30%" in out, "images     2 (" in out) == (0, True, True)
    settings = json.loads((tmp_path / "out" / "run.json").read_text())["settings"]
    assert settings["strip-metadata"] == "true"
    code, out, _ = run(capsys, "upscale", "--config", str(config), "-b", "40%", "-o", str(tmp_path / "other"))
    assert (code, "budget     40%" in out) == (0, True)
    for text, told in (
        ("bugdet = 1", "there is no option 'bugdet'"),
        ("config = 'x'", "there is no option 'config'"),
        ("budget =", "Invalid value"),
        ("[upscale]\nbudget = '1%'", "upscale"),
        ("quality = 500", "invalid value for '--quality'"),
    ):
        config.write_text(text)
        assert told in refused(capsys, "upscale", archive, tmp_path / "new", *FIXED, "--config", config)


def test_a_dry_run_is_that_of_plan_and_writes_nothing(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "upscale", str(archive), str(tmp_path / "out"), *FIXED, "--dry-run", "--json")
    assert (code, json.loads(out)["images"]) == (0, 7)
    code, out, _ = run(capsys, "upscale", str(archive), *FIXED, "--dry-run", "--target-psnr", "20")
    assert (code, "20dB" in out) == (0, True)
    assert not (tmp_path / "out").exists()


def test_a_shell_completes_commands_and_options() -> None:
    for words, told in (("arm-batch up", "upscale"), ("arm-batch upscale --max-p", "--max-pixels")):
        environment = {"_ARM_BATCH_COMPLETE": "complete_bash", "COMP_WORDS": words}
        environment |= {"COMP_CWORD": str(len(words.split()) - 1)}
        done = subprocess.run(
            [str(Path(sys.executable).parent / "arm-batch")],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.split() == [told]
