"""Every runtime gives what PyTorch gives, and one that is missing is told of in a line."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from arm_batch.core.arrays import Pixels
from arm_batch.core.tiling.grid import TileGrid, Windows
from arm_batch.errors import UsageError
from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import load_ladder, shipped_ladders
from arm_batch.models.rungs.subnet import SubnetRung
from arm_batch.models.runtimes import open as opening
from arm_batch.models.runtimes.exports import exported, net_digest
from arm_batch.spec import Engine, RuntimeName
from tests.image_files import noise

NEEDS_OPENVINO = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="needs arm-batch[openvino]"
)
RUNTIMES = [pytest.param("openvino", marks=NEEDS_OPENVINO)]

KINDS = ((3, 8), (1, 8), (3, 16), (1, 16))


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def smooth(piece: Pixels) -> Pixels:
    """Noise halfway to grey, so that nets do not run into black and white everywhere."""
    return (piece // 2 + np.iinfo(piece.dtype).max // 4).astype(piece.dtype)


def pieces_of(window: int, count: int) -> list[Windows]:
    """Windows of every kind that images may have; the first of each lies at a corner."""
    made = [noise(seed, count * window, window, *kind) for seed, kind in enumerate(KINDS)]
    pieces = [Windows.within(smooth(piece).reshape(count, window, window, -1)) for piece in made]
    at_corner = np.array([3, window, 0, window - 7], np.int16)
    return [Windows(pixels, np.concatenate([[at_corner], inside[1:]])) for pixels, inside in pieces]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", shipped_ladders())
def test_every_subnet_is_within_a_grey_level_of_torch(name: str, runtime: RuntimeName) -> None:
    files = load_ladder(name)
    grid, scale = files.ladder.grid, files.ladder.scale
    reference = Upscaler(files.nets, grid, scale, "cpu")
    other = Upscaler(files.nets, grid, scale, "cpu", engine=Engine(runtime))
    # A full pass of the other runtime, and one that is not.
    pieces = pieces_of(grid.window, other.batch // 4 + 1)
    for subnet in range(1, len(files.nets)):
        pairs = zip(reference.run(subnet, pieces), other.run(subnet, pieces), strict=True)
        for expected, found in pairs:
            assert expected.not_finite == found.not_finite == 0
            assert found.pixels.dtype == expected.pixels.dtype
            # One level of 8 bits; of 16 bits what float32 can tell.
            levels = 1 if expected.pixels.dtype == np.uint8 else 4
            apart = np.abs(found.pixels.astype(int) - expected.pixels.astype(int))
            assert apart.max() <= levels, files.ladder.subnets[subnet].name


@NEEDS_OPENVINO
def test_a_tile_does_not_depend_on_what_runs_beside_it() -> None:
    net = SubnetRung(Supernet(get_backbone("plain"), 2).eval(), 16, 2)
    upscaler = Upscaler((None, net), TileGrid(8, 2), 2, "cpu", engine=Engine("openvino"))
    windows = smooth(noise(0, 9 * 12, 12)).reshape(9, 12, 12, 3)
    (together,) = upscaler.run(1, [Windows.within(windows)])
    alone = [upscaler.run(1, [Windows.within(windows[i : i + 1])])[0].pixels for i in range(9)]
    np.testing.assert_array_equal(together.pixels, np.concatenate(alone))


@NEEDS_OPENVINO
def test_what_is_not_finite_is_interpolated() -> None:
    supernet = Supernet(get_backbone("plain"), 2).eval()
    with torch.no_grad():
        supernet.net.tail.bias.fill_(float("nan"))  # type: ignore[union-attr,operator]
    net = SubnetRung(supernet, 16, 2)
    upscaler = Upscaler((None, net), TileGrid(8, 2), 2, "cpu", engine=Engine("openvino"))
    windows = Windows.within(noise(0, 3 * 12, 12).reshape(3, 12, 12, 3))
    (found,) = upscaler.run(1, [windows])
    assert found.not_finite == 3
    np.testing.assert_array_equal(found.pixels, upscaler.run(0, [windows])[0].pixels)


def test_a_machine_without_the_runtime_says_so_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "is_there", lambda runtime: runtime == "torch")
    with pytest.raises(UsageError, match=r"has no OpenVINO.*arm-batch\[openvino\]"):
        opening.open_runtime(Engine("openvino"), "cpu", 1)
    # GPUs do not need it.
    assert opening.open_runtime(Engine("openvino"), "cuda", 1).batch > 1


def test_exports_are_made_once_and_again_when_they_are_damaged(tmp_path: Path) -> None:
    made: list[Path] = []

    def export(into: Path) -> None:
        made.append(into)
        (into / "net.bin").write_bytes(b"weights")

    for _ in range(2):
        folder = exported("net-1", export, tmp_path)
        assert folder is not None
        assert (folder / "net.bin").read_bytes() == b"weights"
    assert len(made) == 1
    assert folder is not None
    spoils: list[Callable[[Path], object]] = [lambda f: f.write_bytes(b"wEights"), lambda f: f.unlink()]
    for spoil in spoils:
        spoil(folder / "net.bin")
        assert exported("net-1", export, tmp_path) == folder
        assert (folder / "net.bin").read_bytes() == b"weights"
    assert len(made) == 3
    assert [entry.name for entry in (tmp_path / "exports").iterdir()] == ["net-1"]


def test_an_export_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def export(into: Path) -> None:
        (into / "net.bin").write_bytes(b"half")
        raise OSError("full")

    assert exported("net-1", export, tmp_path) is None
    assert list((tmp_path / "exports").iterdir()) == []
    (tmp_path / "file").write_text("in the way")
    assert exported("net-1", export, tmp_path / "file") is None


def test_the_digest_of_a_net_goes_by_its_weights() -> None:
    supernet = Supernet(get_backbone("plain"), 2).eval()
    before = net_digest(SubnetRung(supernet, 16, 2))
    assert before == net_digest(SubnetRung(supernet, 16, 2))
    assert before != net_digest(SubnetRung(supernet, 32, 2))
    with torch.no_grad():
        next(supernet.net.parameters())[0, 0, 0, 0] += 1
    assert before != net_digest(SubnetRung(supernet, 16, 2))
