"""The command line as a person meets it: exit codes, one clear line, nothing written on wrong usage."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from arm_batch import cli
from arm_batch.cli import exit_codes
from arm_batch.images import decode
from arm_batch.models.checkpoint import load_checkpoint
from arm_batch.models.ladder_files import find_ladder, load_ladder
from tests.archives import ALONE, LADDER, draw, make_archive, make_messy_archive, write_png


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    with pytest.raises(SystemExit) as caught:
        cli.main(list(arguments))
    out, err = capsys.readouterr()
    return int(caught.value.code or 0), out, err


def test_done_is_0_and_tells_what_was_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = make_archive(tmp_path / "in")
    code, out, _ = run(
        capsys,
        "upscale",
        str(archive),
        str(tmp_path / "out"),
        *ALONE,
        "--budget",
        "30%",
    )
    assert code == 0
    assert "7 (0 failed)" in out
    assert "30%" in out
    assert json.loads((tmp_path / "out" / "run.json").read_text())["images"] == 7


def test_a_part_of_an_archive_is_taken_and_the_rest_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = make_archive(tmp_path / "in")
    (archive / "copy.png").write_bytes((archive / "a.png").read_bytes())
    (archive / "notes.txt").write_text("hello")
    options = ["--include", "/*.png", "--include", "deep/", "--exclude", "b.png", "--limit", "4", "--dedup"]
    arguments = [str(archive), str(tmp_path / "out"), *ALONE]
    code, out, _ = run(capsys, "upscale", *arguments, *options)
    assert code == 0
    for line in (
        "images     4 (0 failed)",
        "copies     1 images have the output of another",
        "left out   1 images by --include and --exclude",
        "left out   files: 1 of other kinds (.txt 1)",
    ):
        assert line in out
    settings = json.loads((tmp_path / "out" / "run.json").read_text())["settings"]
    assert settings["selection"] == "--include '/*.png' --include deep/ --exclude b.png --limit 4"
    code, out, _ = run(capsys, "plan", str(archive), *ALONE, *options)
    assert "copies     1 images are copies" in out
    code, _, err = run(capsys, "upscale", *arguments)
    assert (code, "selection was" in err) == (exit_codes.USAGE, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["upscale"], "missing argument 'INPUT'; see `arm-batch upscale --help`"),
        (["upscale", "in"], "missing argument 'OUTPUT'"),
        (["upscale", "in", "out", "--nonsense"], "no such option: --nonsense"),
        (["upscale", "in", "out", "--quality", "500"], "invalid value for '--quality'"),
        (["upscale", "in", "out", "--sink", "paper"], "'paper' is not one of"),
        (["upscale", "in", "out", "--budget"], "'--budget' requires an argument"),
        (["nothing"], "no such command 'nothing'; see `arm-batch --help`"),
        (["budget", "show"], "see `arm-batch budget show --help`"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_told_in_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (exit_codes.USAGE, "")
    assert err.startswith("arm-batch: ")
    assert err.count("\n") == 1
    assert told in err


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    assert code == exit_codes.USAGE
    assert "upscale" in out + err


def test_the_summary_comes_as_json_or_not_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = make_archive(tmp_path / "in")
    command = ["upscale", str(archive), str(tmp_path / "out"), *ALONE]
    assert run(capsys, *command, "--quiet") == (0, "", "")
    code, out, err = run(capsys, *command, "--json", "--log", "json")
    assert (code, json.loads(out)["images"]) == (0, 7)
    assert json.loads(err.splitlines()[-1])["event"] == "progress"


def test_failed_images_end_with_3_and_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = make_messy_archive(tmp_path / "in")
    code, out, err = run(capsys, "upscale", str(archive), str(tmp_path / "out"), *ALONE)
    assert code == exit_codes.FAILED_IMAGES
    assert "6 (3 failed)" in out
    assert "3 of 6 images failed" in err
    assert "empty.png: empty file" in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--budget", "0%"], "more than nothing"),
        (["--budget", "40"], "cannot read the budget"),
        (["--budget", "1FLOP"], "interpolation alone needs"),
        (["--budget", "40%", "--target-psnr", "28"], "cannot go together"),
        (["--target-psnr", "nan"], "not a number"),
        (["--ladder", "nowhere"], "neither a folder"),
        (["--scale", "3"], "no ladder for x3"),
        (["--scale", "2", "--ladder", "fsrcnn-x4"], "ladder for x4"),
        (["--format", "gif"], "unknown format"),
        (["--frames", "last"], "first, refuse"),
        (["--include", "["], "a [ without its ]"),
        (["--exclude", "*"], "leaves none of 7 images"),
        (["--sample", "1"], "too small"),
        (["--float-range", "1"], "two numbers"),
    ],
)
def test_wrong_usage_is_2_in_one_line_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    archive = make_archive(tmp_path / "in")
    code, out, err = run(capsys, "upscale", str(archive), str(tmp_path / "out"), *ALONE, *options)
    assert code == exit_codes.USAGE
    assert out == ""
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_target_takes_the_place_of_a_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "upscale",
        str(make_archive(tmp_path / "in")),
        str(tmp_path / "out"),
        *ALONE,
    ]
    code, _, err = run(capsys, *arguments, "--target-psnr", "60")
    assert code == exit_codes.USAGE
    assert "no budget reaches 60 dB: all of it is predicted to give" in err
    code, out, _ = run(capsys, *arguments, "--target-psnr", "18")
    assert code == 0
    assert "budget     18dB = " in out
    assert run(capsys, *arguments, "--budget", "18 dB")[0] == 0


def test_plan_tells_the_curve_and_upscale_carries_it_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    archive, folder = str(make_archive(tmp_path / "in")), str(tmp_path / "plan")
    arguments = ["plan", archive, *ALONE, "--budget", "18dB"]
    told = ["--plan-out", folder, "--json", str(tmp_path / "plan.json"), "--plot", str(tmp_path / "plan.png")]
    code, out, err = run(capsys, *arguments, *told)
    assert (code, err) == (0, "")
    for line in (
        "predicted, dB",
        "bicubic",
        "on cpu",
        "knee",
        "18dB",
        "images     7 (0 cannot",
        "deep-32 everywhere",
    ):
        assert line in out
    assert f"plan       {folder}" in out
    document = json.loads((tmp_path / "plan.json").read_text())
    assert document["asked"]["budget"] == "18dB"
    assert document["asked"]["outcome"]["predicted"]["image_psnr_db"] >= 18
    assert document["asked"]["outcome"]["pool_seconds"]["cpu"] > 0
    assert document["devices"] == {"cpu": 1}
    pixels = decode((tmp_path / "plan.png").read_bytes()).pixels
    # Something of the curve's colour is on white.
    assert (pixels == 255).all(axis=2).mean() > 0.5
    assert (np.abs(pixels.astype(int) - [31, 119, 180]).max(axis=2) < 20).any()
    for command in ("status", "verify"):
        code, _, err = run(capsys, command, folder)
        assert (code, "holds a plan and no run" in err) == (exit_codes.USAGE, True)
    output = str(tmp_path / "out")
    code, out, _ = run(
        capsys,
        "upscale",
        archive,
        output,
        "--plan",
        folder,
        "--target-psnr",
        "18",
        *ALONE,
    )
    assert code == 0
    assert (
        json.loads((tmp_path / "out" / "run.json").read_text())["spent_flops"]
        == (document["asked"]["outcome"]["flops"])
    )
    code, _, err = run(capsys, "upscale", archive, output + "2", "--plan", folder, "--format", "webp")
    assert code == exit_codes.USAGE
    assert "format was 'auto', is 'webp'" in err


def test_plan_of_a_sample_tells_how_sure_it_is_and_names_failures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = make_messy_archive(tmp_path / "in")
    options = [*ALONE, "--sample", "100%", "--no-profiling"]
    code, out, err = run(capsys, "plan", str(archive), *options)
    assert code == exit_codes.FAILED_IMAGES
    assert "on cpu" not in out
    assert "95 % sure" in out
    assert "6, of which 6 drawn at random (seed 0)" in out
    assert "3 of 6 images cannot be upscaled" in err
    assert "empty.png: empty file" in err
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--budget", "0%"], "more than nothing"),
        (["--budget", "90min"], "is a time"),
        (["--sample", "1"], "too small"),
        (["--sample", "3", "--plan-out", "FOLDER"], "leave out --sample"),
        (["--plot", "FOLDER/missing/plan.png"], "there is no folder"),
        (["--plot", "FOLDER.jpg"], "must end in"),
        (["--json", "FOLDER/missing/plan.json"], "there is no folder"),
        (["--format", "gif"], "unknown format"),
        (["--frames", "last"], "first, refuse"),
        (["--float-range", "1"], "two numbers"),
        (["--scale", "2", "--ladder", "fsrcnn-x4"], "ladder for x4"),
    ],
)
def test_wrong_usage_of_plan_is_2_in_one_line_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    archive = make_archive(tmp_path / "in")
    options = [option.replace("FOLDER", str(tmp_path / "new")) for option in options]
    code, out, err = run(capsys, "plan", str(archive), *ALONE, *options)
    assert (code, out) == (exit_codes.USAGE, "")
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_plot_without_matplotlib_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arm_batch.cli.plot.find_spec", lambda _: None)
    code, _, err = run(capsys, "plan", str(make_archive(tmp_path / "in")), "--plot", str(tmp_path / "plan.png"))
    assert code == exit_codes.USAGE
    assert "pip install 'arm-batch[plot]'" in err


def test_a_plot_that_cannot_be_drawn_is_told_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[object] = []
    monkeypatch.setattr("arm_batch.evaluation.evaluate.evaluate", lambda *_: measured.append(0))
    options = ["--data", str(tmp_path), "--plot"]
    code, out, err = run(capsys, "evaluate", LADDER, *options, str(tmp_path / "a.gif9"))
    assert (code, out) == (exit_codes.USAGE, "")
    assert "must end in .png, .svg, .pdf" in err
    monkeypatch.setattr("arm_batch.cli.plot.find_spec", lambda _: None)
    code, out, err = run(capsys, "evaluate", LADDER, *options, str(tmp_path / "a.svg"))
    assert (code, out) == (exit_codes.USAGE, "")
    assert "pip install 'arm-batch[plot]'" in err
    assert measured == []


def test_workers_without_ray_train_say_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray.train", None)
    options = ["--data", str(tmp_path / "photos"), "--out", str(tmp_path / "training"), "--workers", "2"]
    code, out, err = run(capsys, "train", *options)
    assert (code, out) == (exit_codes.USAGE, "")
    assert err == "arm-batch: --workers needs Ray Train: pip install 'arm-batch[train]'\n"
    assert not (tmp_path / "training").exists()


def test_a_missing_input_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(
        capsys,
        "upscale",
        str(tmp_path / "missing"),
        str(tmp_path / "out"),
        *ALONE,
    )
    assert code == exit_codes.USAGE
    assert "does not exist" in err
    assert not (tmp_path / "out").exists()


def test_a_damaged_ladder_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = make_archive(tmp_path / "in")
    (tmp_path / "ladder").mkdir()
    (tmp_path / "ladder" / "ladder.json").write_text("{}")
    arguments = ["upscale", str(archive), str(tmp_path / "out"), *ALONE]
    code, _, err = run(capsys, *arguments, "--ladder", str(tmp_path / "ladder"))
    assert code == exit_codes.USAGE
    assert "not a readable ladder" in err


@pytest.mark.parametrize("command", ["status", "verify"])
def test_looking_at_an_output_loads_neither_torch_nor_ray(tmp_path: Path, command: str) -> None:
    look = f"""
import sys
from arm_batch.cli import main
try:
    main(["{command}", {str(tmp_path)!r}])
finally:
    print(sorted({{"torch", "ray"}} & sys.modules.keys()))
"""
    told = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (exit_codes.USAGE, "[]\n")
    assert "holds no arm_batch run" in told.stderr


def test_an_unknown_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "upscale", "a", "b", "--no-such-option")[0] == exit_codes.USAGE


@pytest.mark.slow
def test_train_build_lut_evaluate_and_upscale_with_a_ladder_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(10):
        write_png(tmp_path / "photos" / f"{seed}.png", draw(seed, 640, 640))
    data = ["--data", str(tmp_path / "photos")]
    run_to_end = ["train", *data, "--out", str(tmp_path / "training"), "--steps", "2", "--bf16-steps", "1"]
    run_to_end += ["--init", str(find_ladder(LADDER) / "fsrcnn.safetensors"), "--learning-rate", "1e-6"]
    run_to_end += ["--color-jitter", "--dead-leaves", "0.5", "--loss", "l2"]
    code, out, _ = run(capsys, *run_to_end)
    assert code == 0
    assert "step 2 of 2" in out
    config = load_checkpoint(tmp_path / "training" / "checkpoint.pt")["config"]
    assert (config["color_jitter"], config["dead_leaves"], config["loss"], config["bf16_steps"]) == (
        True,
        0.5,
        "l2",
        1,
    )
    weights = str(tmp_path / "training" / "weights.safetensors")
    ladder = str(tmp_path / "ladder")
    mine = ["--name", "mine", "--tile", "8"]
    code, out, _ = run(capsys, "build-lut", ladder, "--supernet", f"fsrcnn={weights}", *data, *mine)
    assert code == 0
    assert out.startswith(f"{ladder}: bicubic, fsrcnn-16")
    table = load_ladder(Path(ladder)).ladder.lut
    assert (table.mse[:, 1:] <= table.mse[:, :-1]).all()
    assert [score.name for score in table.scores] == ["gain", "level"]
    (tmp_path / "val" / "HR").mkdir(parents=True)
    write_png(tmp_path / "val" / "HR" / "a.png", draw(1, 96, 96))
    write_png(tmp_path / "val" / "LRx4" / "a.png", draw(1, 24, 24))
    report, picture = tmp_path / "report.json", tmp_path / "picture.svg"
    options = ["--budgets", "50,100", "--json", str(report), "--plot", str(picture)]
    options += ["--against", f"fsrcnn={weights}"]
    code, out, _ = run(capsys, "evaluate", ladder, "--data", str(tmp_path / "val"), *options)
    assert code == 0
    subnets = [subnet.name for subnet in load_ladder(Path(ladder)).ladder.subnets]
    assert [line.split("  ")[0] for line in out.splitlines()[1:-2]] == [
        *(*subnets, "budget 50%", "budget 100%"),
        *("(fsrcnn-16)", "(fsrcnn-36)", "(fsrcnn-56)"),
    ]
    document = json.loads(report.read_text())
    assert [row["name"] for row in document["subnets"]] == subnets
    assert [row["budget"] for row in document["budgets"]] == [0.5, 1.0]
    assert len(document["against"]) == 3
    assert "<svg" in picture.read_text()
    archive = make_archive(tmp_path / "in")
    code, out, _ = run(
        capsys,
        "upscale",
        str(archive),
        str(tmp_path / "out"),
        *ALONE,
        "--ladder",
        ladder,
    )
    assert code == 0
    assert "7 (0 failed)" in out


@pytest.mark.slow
def test_degraded_inputs_are_evaluated_of_a_ladder_and_of_a_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, side in (("HR", 96), ("LRx4", 24)):
        (tmp_path / "val" / folder).mkdir(parents=True)
        write_png(tmp_path / "val" / folder / "a.png", draw(1, side, side))
    report = tmp_path / "report.json"
    options = ["--data", str(tmp_path / "val"), "--degrade", "clean,jpeg75", "--json", str(report)]
    code, out, _ = run(capsys, "evaluate", LADDER, *options)
    assert code == 0
    names = ["fsrcnn-16", "fsrcnn-36", "fsrcnn-56"]
    told = [(row["kind"], row["name"]) for row in json.loads(report.read_text())]
    assert told == [(kind, name) for kind in ("clean", "jpeg75") for name in names]
    assert [tuple(line.split()[:2]) for line in out.splitlines()[1:-1]] == told
    for seed in range(5):
        write_png(tmp_path / "photos" / f"{seed}.png", draw(seed, 700, 700))
    data = f"{tmp_path / 'photos'}:2,1"
    folders = ["--data", data, "--data", str(tmp_path / "photos"), "--out", str(tmp_path / "out")]
    flaws = ["--backbone", "deep", "--degrade", "archive", "--clean-share", "0.5", "--decay-steps", "1"]
    code, out, _ = run(capsys, "train", *folders, *flaws, "--steps", "2", "--batch", "2", "--crop", "8")
    assert code == 0
    assert "over bicubic: clean" in out
    assert "  archive " in out
    config = load_checkpoint(tmp_path / "out" / "checkpoint.pt")["config"]
    assert (config["degrade"], config["clean_share"], config["decay_steps"]) == ("archive", 0.5, 1)
    checkpoint = str(tmp_path / "out" / "checkpoint.pt")
    code, out, _ = run(capsys, "evaluate", checkpoint, "--backbone", "deep", *options)
    assert code == 0
    assert [line.split()[1] for line in out.splitlines()[1:-1]] == ["deep-16", "deep-24", "deep-32"] * 2


def test_a_training_that_runs_out_of_minutes_goes_on_by_the_same_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(5):
        write_png(tmp_path / "photos" / f"{seed}.png", draw(seed, 300, 300))
    options = ["train", "--data", str(tmp_path / "photos"), "--out", str(tmp_path / "out"), "--scale", "2"]
    options += ["--steps", "2", "--checkpoint-every", "1", "--minutes", "0"]
    code, _, err = run(capsys, *options)
    assert code == exit_codes.UNDONE
    assert "stopped at step 1 of 2; the same command goes on there" in " ".join(err.split())
    assert run(capsys, *options)[0] == 0
    assert (tmp_path / "out" / "weights.safetensors").is_file()
    code, _, err = run(capsys, *options, "--workers", "1")
    assert code == exit_codes.USAGE
    assert "workers do not agree on the time" in err


def test_training_from_the_body_of_another_scale_goes_on_only_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(5):
        write_png(tmp_path / "photos" / f"{seed}.png", draw(seed, 300, 300))
    shipped = str(find_ladder(LADDER) / "fsrcnn.safetensors")
    places = ["--data", str(tmp_path / "photos"), "--out", str(tmp_path / "out"), "--scale", "2", "--steps", "1"]
    assert run(capsys, "train", *places, "--init", shipped, "--body-only")[0] == 0
    code, _, err = run(capsys, "train", *places)
    assert code == exit_codes.USAGE
    assert "initial_weights the body of" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["build-lut", "OUT", "--supernet", "fsrcnn", "--data", "IN", "--name", "a"], "BACKBONE=WEIGHTS"),
        (["build-lut", "OUT", "--supernet", "net=a.pth", "--data", "IN", "--name", "a"], "unknown backbone 'net'"),
        (["evaluate", LADDER, "--data", "IN", "--budgets", "10;20"], "per cent with commas"),
        (["evaluate", LADDER, "--data", "IN", "--budgets", "0,50"], "more than 0 and at most 100"),
        (["evaluate", LADDER, "--data", "IN", "--against", "fsrcnn="], "BACKBONE=WEIGHTS"),
        (
            ["evaluate", LADDER, "--data", "IN", "--degrade", "clean,jpeg80"],
            "'jpeg80' is not one of clean, jpeg90",
        ),
        (["train", "--data", "IN:0", "--out", "OUT"], "whole numbers from 1 with commas"),
        (["train", "--data", "IN", "--data", "OUT", "--out", "OUT"], "no images below"),
        (["train", "--data", "IN", "--out", "OUT", "--degrade", "rain"], "rain"),
        (["train", "--data", "IN", "--out", "OUT", "--reductions", "2;3"], "whole numbers from 1 with commas"),
        (["train", "--data", "IN", "--out", "OUT", "--reductions", "0"], "whole numbers from 1 with commas"),
        (["train", "--data", "IN", "--out", "OUT", "--init", "IN/a.png"], "not a readable checkpoint"),
        (["train", "--data", "IN", "--out", "OUT", "--init", "SHIPPED", "--scale", "2"], "fsrcnn x4 supernet"),
        (["train", "--data", "IN", "--out", "OUT", "--body-only"], "--init, which is missing"),
        (
            ["train", "--data", "IN", "--out", "OUT", "--init", "SHIPPED", "--backbone", "carn"],
            "not of a carn x4 supernet",
        ),
    ],
)
def test_options_of_ladder_makers_are_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    for name in "abcde":
        write_png(tmp_path / "in" / f"{name}.png", draw(0, 64, 64))
    places = {"OUT": str(tmp_path / "out"), "IN": str(tmp_path / "in"), "IN/a.png": str(tmp_path / "in" / "a.png")}
    places["SHIPPED"] = str(find_ladder(LADDER) / "fsrcnn.safetensors")
    code, _, err = run(capsys, *(places.get(a, a) for a in arguments))
    assert code == exit_codes.USAGE
    assert told in err
    assert not (tmp_path / "out").exists()


def test_images_too_small_to_train_on_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(10):
        write_png(tmp_path / "in" / f"{i}.png", draw(i, *((260, 260) if i % 5 == 4 else (40, 300))))
    options = ["train", "--data", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--scale", "2"]
    code, _, err = run(capsys, *options)
    assert code == exit_codes.CRASH
    assert "every image is smaller than one crop of 32 LR px" in err
    write_png(tmp_path / "in" / "0.png", draw(0, 260, 260))
    code, out, _ = run(capsys, *options, "--steps", "1")
    assert code == 0
    assert "7 of 8 images are smaller than a crop and left out" in out


def test_a_table_of_other_weights_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = find_ladder(LADDER)
    for name in ("ladder.json", "lut.json", "fsrcnn.safetensors"):
        (tmp_path / name).write_bytes((shipped / name).read_bytes())
    table = json.loads((tmp_path / "lut.json").read_text())
    table["provenance"]["weights"] = "others"
    (tmp_path / "lut.json").write_text(json.dumps(table))
    archive = make_archive(tmp_path / "in")
    arguments = ["upscale", str(archive), str(tmp_path / "out"), *ALONE]
    code, _, err = run(capsys, *arguments, "--ladder", str(tmp_path))
    assert code == exit_codes.USAGE
    assert "built for other weights" in err
    (tmp_path / "fsrcnn.safetensors").write_bytes(b"damaged")
    code, _, err = run(capsys, *arguments, "--ladder", str(tmp_path))
    assert code == exit_codes.USAGE
    assert "not the file that ladder.json names" in err


PANELS = ("Input:", "Output:", "Budget:", "Images:", "Cluster:", "Resume:", "Terminal:")


@pytest.mark.parametrize(("command", "panels"), [("upscale", PANELS), ("plan", (*PANELS[:-2], PANELS[-1]))])
def test_help_comes_in_panels_with_examples_at_the_end(
    capsys: pytest.CaptureFixture[str], command: str, panels: tuple[str, ...]
) -> None:
    code, out, _ = run(capsys, command, "--help")
    places = [out.index(f"─ {panel}") for panel in panels]
    assert (code, places) == (0, sorted(places))
    examples = out[out.index("Examples:") :]
    assert places[-1] < out.index("Examples:")
    for line in examples.splitlines():
        words = line.split()
        # What stands there is read without complaint.
        if words[:1] == ["arm-batch"]:
            assert run(capsys, *words[1:], "--help")[0] == 0
    assert examples.count(f"arm-batch {command} ") >= 2
    # Every other option is in a panel.
    rest = out[out.index("─ Options") : places[0]]
    assert re.findall(r"--[\w-]+", rest) == ["--help"]


def test_status_and_verify_tell_how_a_run_stands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive, output = make_messy_archive(tmp_path / "in"), tmp_path / "out"
    for command in ("status", "verify"):
        code, _, err = run(capsys, command, str(output))
        assert (code, err) == (exit_codes.USAGE, f"arm-batch: {output} holds no arm_batch run\n")
    run(capsys, "upscale", str(archive), str(output), *ALONE)
    code, out, _ = run(capsys, "status", str(output))
    assert code == 0
    for told in (
        "g0000 initial: 6 images in 1 shards",
        "done     3 images",
        "failed   3 images",
        "left     0 shards",
    ):
        assert told in out
    assert "done     after 0:" in out
    code, out, _ = run(capsys, "status", str(output), "--json", "--watch")
    found = json.loads(out)
    assert (code, found["generations"][0]["failed"], found["attempts"][0]["outcome"]) == (0, 3, "done")
    code, out, _ = run(capsys, "verify", str(output))
    assert (code, out) == (0, "6 images, 3 of them failed; 0 shards left; 0 problems\n")
    assert json.loads(run(capsys, "verify", str(output), "--json")[1])["images"] == 6
    (record,) = (output / "commits" / "g0000").iterdir()
    record.unlink()
    assert run(capsys, "status", str(output))[0] == exit_codes.UNDONE
    code, out, _ = run(capsys, "verify", str(output))
    assert code == exit_codes.UNDONE
    assert "1 shards left" in out
    record.write_text("{}")
    code, out, err = run(capsys, "verify", str(output))
    assert code == exit_codes.UNDONE
    assert "commits/g0000/000000.json is not a commit record" in out
    assert "--repair" in err
    code, out, _ = run(capsys, "upscale", str(archive), str(output), *ALONE, "--repair")
    assert code == exit_codes.FAILED_IMAGES
    assert "repaired   1 problems" in out
    assert run(capsys, "verify", str(output))[0] == 0


def test_failed_images_are_tried_again_and_new_ones_taken_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, output = make_messy_archive(tmp_path / "in"), tmp_path / "out"
    command = ["upscale", str(archive), str(output), *ALONE]
    run(capsys, *command)
    for name in ("empty.png", "corrupt.png", "new.png"):
        write_png(archive / name, draw(1, 40, 40))
    (archive / "text.jpg").write_bytes((archive / "new.png").read_bytes())
    code, out, _ = run(capsys, *command)
    assert code == exit_codes.FAILED_IMAGES
    assert "1 images came to the input later: --extend takes them up" in out
    code, out, _ = run(capsys, *command, "--extend", "--retry-failed")
    assert code == 0
    assert "7 (0 failed)" in out
    assert run(capsys, "verify", str(output))[0] == 0
