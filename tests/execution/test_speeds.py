"""Measured speeds: how they are taken, kept and asked for again; no test depends on how fast anything is."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from arm_batch.core.tiling.grid import TileGrid, Upscaled, Windows
from arm_batch.execution import speed_cache
from arm_batch.execution.profiling import per_megapixel, sample_shards
from arm_batch.execution.speed_cache import cache_file, recall, remember
from arm_batch.models import throughput
from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.rungs.subnet import SubnetRung
from arm_batch.runstate.shard_plan import ShardId
from arm_batch.spec import Engine


class FakeNet:
    """Takes what a script says for each call, on a clock of its own."""

    def __init__(self, script: dict[int, list[float]]) -> None:
        self.now = 0.0
        self.calls: list[tuple[int, int]] = []
        self._script = {subnet: iter(seconds) for subnet, seconds in script.items()}

    def run(self, subnet: int, pieces: Sequence[Windows]) -> list[Upscaled]:
        self.calls.append((subnet, len(pieces[0].pixels)))
        self.now += next(self._script[subnet])
        return [Upscaled(piece.pixels, 0) for piece in pieces]


def measured(monkeypatch: pytest.MonkeyPatch, script: dict[int, list[float]]) -> tuple[list[float], FakeNet]:
    net = FakeNet(script)
    monkeypatch.setattr(time, "perf_counter", lambda: net.now)
    supernet = Supernet(get_backbone("fsrcnn"), 2)
    nets = (None, SubnetRung(supernet, 16, 2), SubnetRung(supernet, 36, 2))
    return throughput.measure_tiles(net.run, nets, TileGrid(32, 2), "cpu"), net


def test_warming_up_does_not_count_and_the_median_does(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, net = measured(monkeypatch, {1: [99.0, 0.32, 0.64, 1.5], 2: [0.0, 3.2]})
    assert seconds == pytest.approx([0, 0.64 / 32, 3.2 / 32])
    assert net.calls == [(1, 16)] + [(1, 32)] * 3 + [(2, 16), (2, 32)]


def test_one_round_of_a_large_net_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, _ = measured(monkeypatch, {1: [9.0, 2.0], 2: [0.0, 1.0, 1.2]})
    assert seconds == pytest.approx([0, 2.0 / 32, 1.1 / 32])


def test_fast_nets_are_measured_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, net = measured(monkeypatch, {1: [1.0] + [0.05] * 99, 2: [1.0] * 4})
    assert seconds[1] == pytest.approx(0.05 / 32)
    assert [subnet for subnet, _ in net.calls].count(1) - 1 >= round(throughput.ENOUGH_S / 0.05)


def test_hardware_says_what_it_is() -> None:
    torch_32, torch_16 = Engine("torch", "fp32"), Engine("torch", "bf16")
    assert "cores, torch" in throughput.hardware("cpu", torch_32)
    assert throughput.hardware("cpu", torch_32) == throughput.hardware("cpu", torch_32)
    assert throughput.hardware("cpu", torch_32) != throughput.hardware("cpu", torch_16)


def test_speeds_are_kept_by_key(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "speeds.json"
    assert recall(path, "one", 2) is None
    remember(path, {"one": [0.0, 1.5]})
    remember(path, {"two": [0.0, 2.5]})
    assert recall(path, "one", 2) == [0.0, 1.5]
    assert recall(path, "two", 2) == [0.0, 2.5]
    assert recall(path, "three", 2) is None
    assert [p.name for p in path.parent.iterdir()] == ["speeds.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "\x00",
        '{"one": 3}',
        '{"one": null}',
        '{"one": {"seconds": [1], "measured": "yesterday"}}',
        '{"one": {"seconds": ["x"], "measured": NOW}}',
        '{"one": {"seconds": [0, NaN], "measured": NOW}}',
        '{"one": {"seconds": [0, -1], "measured": NOW}}',
        '{"one": {"seconds": [0, 0], "measured": NOW}}',
        '{"one": {"seconds": [0, 1, 1], "measured": NOW}}',
        '{"one": {"seconds": [], "measured": NOW}}',
        '{"one": {"seconds": [1]}}',
    ],
)
def test_a_corrupt_cache_is_ignored_and_rewritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "speeds.json"
    path.write_text(text.replace("NOW", str(time.time())))
    assert recall(path, "one", 2) is None
    remember(path, {"one": [0.0, 1.0]})
    assert recall(path, "one", 2) == [0.0, 1.0]


def test_what_was_measured_long_ago_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "speeds.json"
    remember(path, {"one": [0.0, 1.0]})
    document = json.loads(path.read_text())
    document["one"]["measured"] -= speed_cache.MAX_AGE_S
    path.write_text(json.dumps(document))
    assert recall(path, "one", 2) is None


def test_a_cache_that_cannot_be_written_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    remember(tmp_path / "file" / "speeds.json", {"one": [0.0, 1.0]})
    assert recall(tmp_path / "file" / "speeds.json", "one", 2) is None


def test_the_cache_lies_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_file() == tmp_path / "arm_batch" / "speeds.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_file() == tmp_path / "home" / ".cache" / "arm_batch" / "speeds.json"


def test_samples_are_spread_evenly() -> None:
    shards = [ShardId(0, index) for index in range(10)]
    assert sample_shards(shards, 4) == [shards[index] for index in (0, 2, 5, 7)]
    assert sample_shards(shards, 99) == shards
    assert sample_shards([], 3) == []


def test_samples_count_by_their_pixels() -> None:
    assert per_megapixel([(1.0, 10**6), (0.0, 0), (5.0, 2 * 10**6)]) == pytest.approx(2.0)
    assert per_megapixel([(0.0, 0)]) == 0
    assert np.isfinite(per_megapixel([]))
