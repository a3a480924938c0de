"""Ladders of several supernets."""

from pathlib import Path

import numpy as np
import pytest
import torch

from arm_batch.core.tiling.detail import N_FEATURES
from arm_batch.core.tiling.flaws import N_FLAWS
from arm_batch.core.tiling.grid import TileGrid
from arm_batch.core.tiling.scores import MEASURED
from arm_batch.errors import LadderError, UsageError
from arm_batch.evaluation import build_ladder as module
from arm_batch.evaluation.build_ladder import build_ladder
from arm_batch.evaluation.calibrate import Photographs, TileSample
from arm_batch.models.backbones.registry import Backbone, get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.checkpoint import save_weights
from arm_batch.models.ladder_files import load_ladder
from arm_batch.models.rungs.subnet import SubnetRung

GRID = TileGrid(8, 2)
TILES = 600

SCORES = ("laplacian",)


def weights(folder: Path, *names: str) -> list[tuple[Backbone, Path]]:
    torch.manual_seed(0)
    files = []
    for name in names:
        path = folder / f"{name}-weights.safetensors"
        save_weights(path, Supernet(get_backbone(name), 2))
        files.append((get_backbone(name), path))
    return files


NOBODY = Photographs(())


def an_image(folder: Path) -> Photographs:
    """A file for the table to name; nobody looks into it."""
    path = folder / "a.png"
    path.write_bytes(b"a")
    return Photographs(((path, (2,)),))


def measured(monkeypatch: pytest.MonkeyPatch, errors: list[float]) -> None:
    """Let every tile have these errors, cheapest subnet first, instead of running the networks."""
    drawn = sample(uniform_scores(), np.tile(np.array(errors, np.float64), (TILES, 1)))
    with_tiles(monkeypatch, drawn)


def with_tiles(monkeypatch: pytest.MonkeyPatch, tiles: TileSample) -> None:
    """Let these be what is measured, and the losses in bfloat16 0.01 dB, 0.02 and so on."""
    monkeypatch.setattr(module, "sample_tiles", lambda *_: tiles)
    monkeypatch.setattr(module, "bf16_loss_db", lambda nets, *_: tuple(0.01 * i for i in range(1, len(nets))))


def uniform_scores() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 50, TILES).astype(np.float32)


def sample(scores: np.ndarray, mse: np.ndarray) -> TileSample:
    """Tiles of ten images with these scores, whichever of the measured ones is asked for."""
    features = np.zeros((TILES, N_FEATURES + N_FLAWS), np.float32)
    return TileSample(
        features=features,
        measured=np.tile(scores[:, None], (1, len(MEASURED))),
        mse=mse,
        image=np.arange(TILES) % 10,
    )


def test_subnets_of_several_supernets_make_one_ladder_without_the_dominated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By cost: bicubic, fsrcnn-16, plain-16, fsrcnn-36, fsrcnn-56, plain-32, plain-48.
    measured(monkeypatch, [100, 60, 58, 57, 40, 45, 30])
    files = weights(tmp_path, "plain", "fsrcnn")
    built = build_ladder(tmp_path / "mixed", "mixed", 2, GRID, files, an_image(tmp_path), SCORES)
    assert built.subnets == ("bicubic", "fsrcnn-16", "fsrcnn-56", "plain-48")
    assert built.dropped == ("plain-16", "fsrcnn-36", "plain-32")
    loaded = load_ladder(tmp_path / "mixed")
    assert [subnet.name for subnet in loaded.ladder.subnets] == list(built.subnets)
    np.testing.assert_allclose(loaded.ladder.lut.mse, np.tile([100, 60, 40, 30], (loaded.ladder.lut.n_bins, 1)))
    names = [net.name for net in loaded.nets if isinstance(net, SubnetRung)]
    assert names == ["fsrcnn-16", "fsrcnn-56", "plain-48"]
    assert loaded.bf16_loss_db == (0.01, 0.02, 0.03)


def test_a_subnet_that_one_bin_can_use_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Pooled over all tiles fsrcnn-36 is far above the line between its neighbours; on the busiest tiles it is not.
    scores = uniform_scores()
    flat, busy = np.array([100.0, 60, 59, 10]), np.array([100.0, 60, 20, 10])
    errors = np.where((scores > 49)[:, None], busy, flat)
    with_tiles(monkeypatch, sample(scores, errors))
    built = build_ladder(tmp_path / "out", "a", 2, GRID, weights(tmp_path, "fsrcnn"), NOBODY, SCORES)
    assert built.subnets == ("bicubic", "fsrcnn-16", "fsrcnn-36", "fsrcnn-56")


def test_a_supernet_of_which_nothing_is_left_is_not_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, [100, 60, 60, 40, 20, 20, 20])
    build_ladder(
        tmp_path / "mixed", "mixed", 2, GRID, weights(tmp_path, "plain", "fsrcnn"), an_image(tmp_path), SCORES
    )
    assert not list((tmp_path / "mixed").glob("plain*"))
    assert load_ladder(tmp_path / "mixed").ladder.subnets[-1].name == "fsrcnn-56"


def test_networks_worse_than_interpolation_are_no_ladder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, [100, 110, 120, 130])
    with pytest.raises(LadderError, match="no subnet is better than interpolation"):
        build_ladder(tmp_path / "out", "a", 2, GRID, weights(tmp_path, "fsrcnn"), NOBODY, SCORES)
    assert not (tmp_path / "out").exists()


def test_a_backbone_twice_and_weights_of_another_are_refused(tmp_path: Path) -> None:
    (plain,) = weights(tmp_path, "plain")
    with pytest.raises(UsageError, match="each backbone can be given once"):
        build_ladder(tmp_path / "out", "a", 2, GRID, [plain, plain], NOBODY, SCORES)
    with pytest.raises(LadderError, match="not of a carn x2 supernet"):
        build_ladder(tmp_path / "out", "a", 2, GRID, [(get_backbone("carn"), plain[1])], NOBODY, SCORES)
    with pytest.raises(LadderError, match="weights of a plain x2 supernet, not of a plain x4 supernet"):
        build_ladder(tmp_path / "out", "a", 4, GRID, [plain], NOBODY, SCORES)
    assert not (tmp_path / "out").exists()
