"""`import arm_batch`: what it offers, what it costs, and what bad input is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arm_batch
from arm_batch.core.arrays import Pixels
from arm_batch.core.progress import Progress
from arm_batch.errors import BudgetError, InputError, LadderError, OutputError, StoppedError, UsageError
from arm_batch.images import decode
from tests.archives import LR_SIZES, draw, make_archive, write_png

HEAVY = ("cv2", "numpy", "pyarrow", "ray", "scipy", "torch")

LOADED = f"""
import sys
{{}}
print(*[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""


def loaded_by(code: str) -> list[str]:
    """Which of `HEAVY` a fresh process has imported after some code."""
    done = subprocess.run([sys.executable, "-c", LOADED.format(code)], capture_output=True, text=True, check=True)
    return done.stderr.split()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--version"],
        ["-h"],
        *(
            [command, "--help"]
            for command in ("plan", "upscale", "status", "verify", "budget", "train", "build-lut")
        ),
        ["evaluate", "-h"],
        ["budget", "create", "-h"],
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = f"from arm_batch.cli import main\ntry: main({arguments!r})\nexcept SystemExit: pass"
    assert loaded_by(code) == []


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert loaded_by("import arm_batch; dir(arm_batch)") == []
    # Helpers are started before.
    assert {"ray", "torch"}.isdisjoint(loaded_by("import arm_batch; arm_batch.upscale; arm_batch.plan"))


def test_a_run_without_a_cluster_does_not_load_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    # As if there were no cluster on this machine.
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    archive = make_archive(tmp_path / "in")
    code = f"import arm_batch; arm_batch.upscale({str(archive)!r}, {str(tmp_path / 'out')!r}, workers=1)"
    loaded = loaded_by(code)
    assert "torch" in loaded
    assert "ray" not in loaded


def test_what_needs_no_net_does_not_import_torch() -> None:
    for name in ("status", "verify", "open_dataset"):
        assert {"ray", "torch"}.isdisjoint(loaded_by(f"import arm_batch; arm_batch.{name}"))


def test_the_names_are_sorted_and_there() -> None:
    assert arm_batch.__all__ == sorted(arm_batch.__all__)
    assert set(arm_batch.__all__) <= set(dir(arm_batch))
    for name in arm_batch.__all__:
        assert getattr(arm_batch, name).__doc__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = arm_batch.nothing


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(arm_batch.__file__).parent / "py.typed").is_file()


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "arm_batch", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("arm-batch ")


@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("depth", [8, 16])
def test_an_array_comes_out_as_from_a_job(channels: int, depth: int, tmp_path: Path) -> None:
    array = draw(3, 70, 90, max(channels, 1), depth)
    image: Pixels = array[..., 0] if channels == 0 else array
    done = arm_batch.Upscaler(budget="40%").upscale(image)
    assert (done.pixels.dtype, done.pixels.ndim) == (image.dtype, image.ndim)
    assert done.pixels.shape == (280, 360, *image.shape[2:])
    if channels in (1, 3):
        write_png(tmp_path / "in" / "a.png", image)
        arm_batch.upscale(
            tmp_path / "in",
            tmp_path / "out",
            budget="40%",
            executor="inline",
            sink="files",
            format="png",
            runtime="torch",
            precision="fp32",
        )
        (row,) = arm_batch.open_dataset(tmp_path / "out").to_table(["flops", "psnr_predicted_db"]).to_pylist()
        assert (done.flops, done.psnr_predicted_db) == (row["flops"], row["psnr_predicted_db"])
        written = decode((tmp_path / "out" / "images" / "a.png").read_bytes())
        assert np.array_equal(done.pixels, written.pixels)


def test_a_ladder_is_loaded_once_for_many() -> None:
    ladder = arm_batch.load_ladder("fsrcnn-x2")
    upscalers = [arm_batch.Upscaler(ladder, budget=budget) for budget in ("20%", "100%")]
    assert [upscaler.scale for upscaler in upscalers] == [2, 2]
    image = draw(0, 96, 96)
    low, high = (upscaler.upscale(image).flops for upscaler in upscalers)
    assert 0 < low <= 0.2 * high


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (None, "a NoneType"),
        (np.zeros((4, 4, 3)), "float64 of shape (4, 4, 3)"),
        (np.zeros((2, 4, 4, 3), np.uint8), "uint8 of shape (2, 4, 4, 3)"),
        (np.zeros((4, 0, 3), np.uint8), "uint8 of shape (4, 0, 3)"),
        (np.zeros((4, 4, 5), np.uint8), "has 5 channels"),
        ([[0, 1], [2, 3]], "a list"),
        (b"png", "a bytes"),
    ],
)
def test_what_is_no_image_is_told_in_one_line(image: Any, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        arm_batch.Upscaler()(image)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"budget": 0.4}, BudgetError, "a budget is text, and not 0.4"),
        ({"budget": "2PFLOP"}, BudgetError, "not a share"),
        ({"budget": "0.1%"}, BudgetError, "less than interpolation alone needs"),
        ({"ladder": None}, LadderError, "and not by None"),
        ({"ladder": "no-such"}, LadderError, "no-such"),
        ({"objective": "best"}, UsageError, "unknown objective 'best'"),
        ({"device": "tpu"}, UsageError, "unknown device 'tpu'"),
    ],
)
def test_an_upscaler_that_makes_no_sense_is_refused(
    options: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        arm_batch.Upscaler(**options)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"budget": 0.4}, BudgetError, "a budget is text, and not 0.4"),
        ({"budget": "40%", "target_psnr": 28.0}, UsageError, "cannot go together"),
        ({"objective": "best"}, UsageError, "unknown objective 'best'"),
        ({"executor": "dask"}, UsageError, "unknown executor 'dask'"),
        ({"sink": "zip"}, UsageError, "unknown sink 'zip'"),
        ({"workers": 0}, UsageError, "0 workers"),
        ({"format": "bmp"}, UsageError, "unknown format 'bmp'"),
        ({"float_range": "1"}, UsageError, "no range of samples"),
        ({"scale": 3}, UsageError, "no ladder for x3"),
        ({"scale": 3, "ladder": "fsrcnn-x4"}, LadderError, "x4, not x3"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused(
    options: dict[str, Any], error: type[Exception], told: str, tmp_path: Path
) -> None:
    write_png(tmp_path / "in" / "a.png", draw(0, 8, 8))
    with pytest.raises(error, match=told):
        arm_batch.upscale(tmp_path / "in", tmp_path / "out", **({"executor": "inline"} | options))
    assert not (tmp_path / "out").exists()


def test_an_archive_is_planned_upscaled_and_looked_at(tmp_path: Path) -> None:
    archive, output = make_archive(tmp_path / "in"), tmp_path / "out"
    told: list[Progress] = []
    planned = arm_batch.plan(
        archive,
        plan_out=tmp_path / "plan",
        include="deep/",
        executor="inline",
        profiling=False,
        progress=told.append,
    )
    assert planned.images == 2
    assert (told[-1].stage, told[-1].images_done, told[-1].images) == ("plan", 2, 2)
    with pytest.raises(OutputError, match="no arm_batch run"):
        arm_batch.status(output)
    done = arm_batch.upscale(archive, output, plan=tmp_path / "plan", include=["deep/"], executor="inline")
    assert (done.images, done.failed) == (2, 0)
    assert [(each.done, each.left) for each in arm_batch.status(output)] == [(2, 0)]
    assert arm_batch.verify(output).problems == ()
    rows = arm_batch.open_dataset(output).to_table(["path"])
    assert sorted(rows["path"].to_pylist()) == sorted(path for path in LR_SIZES if path.startswith("deep/"))


def test_a_job_stops_when_asked(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    with pytest.raises(StoppedError):
        arm_batch.upscale(archive, tmp_path / "out", executor="inline", stop=lambda: True)


def test_an_input_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        arm_batch.plan(tmp_path / "nowhere", executor="inline")
