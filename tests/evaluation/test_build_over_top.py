"""Ladders under a model of the user's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from arm_batch.cli import main
from arm_batch.core.tiling.grid import TileGrid
from arm_batch.errors import InputError
from arm_batch.evaluation import build_over_top as module
from arm_batch.evaluation.closeness import CLOSEST_MSE, read_pictures, sample_closeness, tiles_per_picture
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import load_ladder
from arm_batch.models.rungs.files import read_model
from arm_batch.models.rungs.inspection import inspect_model
from arm_batch.models.rungs.model_rung import ModelRung
from tests.archives import draw, make_archive, write_png
from tests.foreign_models import NEEDS_MODELS, plain, save_compact, save_plain_as_onnx

pytestmark = NEEDS_MODELS


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_archive(tmp_path_factory.mktemp("pictures") / "in")


def build(*arguments: object) -> int | str | None:
    with pytest.raises(SystemExit) as done:
        main(["ladder", "build", *map(str, arguments)])
    return done.value.code


def test_a_ladder_is_built_from_files_and_names(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nets that repeat pixels are nearer to a net that does than bicubic is; one of another kind is not.
    top = save_compact(tmp_path / "My top.safetensors", features=24)
    near = save_compact(tmp_path / "near.safetensors", seed=1, convolutions=1)
    far = save_plain_as_onnx(tmp_path / "far.onnx", plain(4))
    folder = tmp_path / "ladder"
    assert not build(folder, "--top", top, "--rung", near, "--rung", far, "--calibrate", pictures)
    told = capsys.readouterr().out
    files = load_ladder(folder)
    assert [subnet.name for subnet in files.ladder.subnets] == ["bicubic", "near", "My-top"]
    assert files.ladder.lut.reference == "My-top"
    assert "closeness to it everywhere: bicubic" in told
    assert "left out, as no budget would buy it: far" in told
    assert "FLOP executed" in told
    assert not (folder / "far.onnx").exists()
    # The top is a level away from itself, and nothing is nearer.
    np.testing.assert_array_equal(files.ladder.lut.mse[:, -1], CLOSEST_MSE)
    assert (files.ladder.lut.mse >= CLOSEST_MSE).all()
    halos = [net.halo for net in files.nets if net is not None]
    assert files.ladder.grid.halo >= max(halos)
    assert len(set(halos)) == 2


def test_named_subnets_keep_the_halo_of_their_ladder(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_kept", lambda *_: [0, 1, 2])
    top = save_compact(tmp_path / "top.safetensors", features=40)
    folder = tmp_path / "ladder"
    assert not build(folder, "--top", top, "--rung", "fsrcnn-16", "--calibrate", pictures, "--halo", 7)
    files = load_ladder(folder)
    assert files.ladder.grid == TileGrid(32, 7)
    (net,) = [net for net in files.nets[1:-1] if net is not None]
    assert net.halo == load_ladder("fsrcnn-x4").ladder.grid.halo == 3
    assert files.ladder.subnets[1] == load_ladder("fsrcnn-x4").ladder.subnets[1]


def test_originals_give_a_table_of_truth(tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    for seed in range(3):
        write_png(photographs / f"{seed}.png", draw(seed, 300, 300))
    top = save_compact(tmp_path / "top.safetensors", features=24)
    folder = tmp_path / "ladder"
    assert not build(folder, "--top", top, "--calibrate", f"{photographs}:1", "--reference", "originals")
    lut = load_ladder(folder).ladder.lut
    assert lut.reference is None
    assert [score.name for score in lut.scores] == ["gain", "level"]


def test_errors_are_distances_from_the_top(tmp_path: Path) -> None:
    facts = inspect_model(read_model(save_compact(tmp_path / "top.safetensors")))
    grid = TileGrid(16, facts.halo)
    upscaler = Upscaler((None, ModelRung(facts.source.model, facts.halo)), grid, 4, "cpu")
    picture = draw(1, 40, 50)
    sample = sample_closeness(upscaler, 2, grid, [draw(2, 10, 10), picture], most=4)
    assert sample.image.tolist() == [1] * 4
    windows = grid.windows(picture[:32, :48]).take(np.array([0, 1, 3, 4]))
    apart = [upscaler.run(rung, [windows])[0].pixels.astype(float) for rung in (0, 1)]
    expected = ((apart[0] - apart[1]) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(sample.mse[:, 0], np.maximum(expected, CLOSEST_MSE))
    with pytest.raises(InputError, match="no image holds a tile of 16 px"):
        sample_closeness(upscaler, 2, grid, [draw(2, 10, 10)], most=4)


def test_pictures_are_read_whatever_they_are(pictures: Path, tmp_path: Path) -> None:
    paths = sorted(pictures.rglob("*.png"))
    (tmp_path / "x.png").write_bytes(b"no picture")
    found = list(read_pictures([tmp_path / "x.png", *paths]))
    assert len(found) == len(paths)
    assert {(p.dtype.name, p.shape[2]) for p in found} == {("uint8", 3)}


def test_dear_tops_are_run_on_fewer_tiles() -> None:
    assert tiles_per_picture(10**6, 10) == 128
    assert tiles_per_picture(10**11, 100) == 6
    assert tiles_per_picture(10**14, 100) == 2


def test_what_does_not_fit_together_is_refused(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    top = save_compact(tmp_path / "top.safetensors")
    other = save_compact(tmp_path / "other.safetensors", scale=3)
    larger = save_compact(tmp_path / "larger.safetensors", features=24)
    (tmp_path / "twin").mkdir()
    twin = save_compact(tmp_path / "twin" / "top.safetensors", features=8)
    empty = tmp_path / "empty"
    empty.mkdir()
    refusals: dict[str, list[object]] = {
        "is for x3, and the top is for x4": ["--rung", other],
        "larger costs more than the top, top: make that the top": ["--rung", larger],
        "two rungs are called top: rename a file": ["--rung", twin],
        "'carnival' is neither a model's file nor a shipped subnet for x4; there are: ": ["--rung", "carnival"],
        "no such file": ["--rung", "missing.onnx"],
        "--tile 33: scores need a multiple of 8": ["--tile", "33"],
    }
    for told, arguments in refusals.items():
        assert build(tmp_path / "out", "--top", top, "--calibrate", pictures, *arguments) == 2
        message = capsys.readouterr().err
        assert told in message
        assert message.count("\n") == 1
    assert build(tmp_path / "out", "--top", top, "--calibrate", empty) == 2
    assert "no images below" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
