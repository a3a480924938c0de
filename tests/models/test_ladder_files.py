"""Ladders in folders: what makes no sense is refused in one line that names the file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from arm_batch.errors import LadderError
from arm_batch.models.ladder_files import LADDER_FILE, LUT_FILE, find_ladder, load_ladder

LADDER = "fsrcnn-x4"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (LADDER_FILE, LUT_FILE, "fsrcnn.safetensors"):
        shutil.copy(find_ladder(LADDER) / name, tmp_path)
    return tmp_path


def refused(folder: Path) -> str:
    with pytest.raises(LadderError) as caught:
        load_ladder(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def put(path: Path, place: Sequence[str | int], value: Any) -> None:
    document = json.loads(path.read_text())
    holder = document
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    path.write_text(json.dumps(document))


def test_a_copied_ladder_is_the_same(folder: Path) -> None:
    assert load_ladder(folder).ladder.digest == load_ladder(LADDER).ladder.digest


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (["supernets"], [], "at `$.supernets`: there is neither a supernet nor a model"),
        (["supernets"], {}, "at `$.supernets`: expected `array`"),
        (["supernets", 0, "widths"], [], "at `$.supernets[0].widths`: expected `array` of length >= 1"),
        (["supernets", 0, "widths"], ["16"], "at `$.supernets[0].widths[0]`: expected `int`, got `str`"),
        (["supernets", 0, "widths"], "abc", "at `$.supernets[0].widths`: expected `array`, got `str`"),
        (["supernets", 0, "widths"], [0, 36, 56], "at `$.supernets[0].widths[0]`: expected `int` >= 1"),
        (["supernets", 0, "backbone"], "other", "unknown backbone 'other'"),
        (["supernets", 0, "weights"], "../x", "at `$.supernets[0].weights`: expected a name"),
        (["supernets", 0, "weights"], "x", "x is missing or not the file that ladder.json names"),
        (["supernets", 0, "sha256"], "0", "at `$.supernets[0].sha256`: expected 64 hex digits"),
        (["tile"], 1.5, "at `$.tile`: expected `int`, got `float`"),
        (["tile"], 0, "at `$.tile`: expected `int` >= 1"),
        (["tile"], 33, "multiple of 8 px, not 33"),
        (["tile"], 10**9, "at `$.tile`: expected `int` <= 1024"),
        (["halo"], 100000, "at `$.halo`: expected `int` <= 128"),
        (["halo"], -1, "at `$.halo`: expected `int` >= 0"),
        (["scale"], 5, "scale 5 is not one of"),
        (["scale"], None, "at `$.scale`: expected `int`, got `null`"),
        (["name"], 3, "at `$.name`: expected `str`"),
        (["supernets", 0, "halo"], 4, "at `$.halo`: 3 px are less than the 4 that a rung needs"),
        (["supernets", 0, "halo"], -1, "at `$.supernets[0].halo`: expected `int` >= 0"),
        (["models"], [{"name": "x"}], "at `$.models[0]`: object missing required field `kind`"),
        (["more"], 3, "unknown field `more`"),
    ],
)
def test_a_ladder_that_makes_no_sense_is_refused(
    folder: Path, place: Sequence[str | int], value: Any, told: str
) -> None:
    put(folder / LADDER_FILE, place, value)
    message = refused(folder)
    assert told in message
    assert "build-lut" in message
    assert str(folder) in message


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (["mse", 0, 0], -1, "at `$.mse[0][0]`: expected `float` >= 0"),
        (["mse", 0, 0], 255**2 + 1, "at `$.mse[0][0]`: expected `float` <= 65025"),
        (["mse", 0], [1.0], "the rows of a table differ in length"),
        (["psnr_db", 3, 1], float("inf"), "Infinity is no number"),
        (["psnr_db", 3, 1], 1e300, "at `$.psnr_db[3][1]`: expected `float` <= 200"),
        (["psnr_db", 3, 1], -1, "at `$.psnr_db[3][1]`: expected `float` >= 0"),
        (["edges", 0], float("-inf"), "-Infinity is no number"),
        (["edges", 0], 1e6, "bin edges do not ascend"),
        (["edges"], [], "edges, cuts and counts do not fit together"),
        (["cuts", 0], [3.0, 2.0, 1.0], "bin edges do not ascend"),
        (["tiles", 0], -1, "at `$.tiles[0]`: expected `int` >= 0"),
        (["tiles", 0], 1.5, "at `$.tiles[0]`: expected `int`"),
        (["standard_error", 0, 0], float("nan"), "NaN is no number"),
        (["scores", 0, "name"], "other", "unknown score 'other'"),
        (["scores", 0, "weights"], [1.0], "takes 5 or 8 weights, not 1"),
        (["scores", 0, "weights", 0], 1e300, "at `$.scores[0].weights[0]`: expected `float` <= 1"),
        (["provenance"], {}, "was built for other weights"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(
    folder: Path, place: Sequence[str | int], value: Any, told: str
) -> None:
    put(folder / LUT_FILE, place, value)
    message = refused(folder)
    assert told in message
    assert str(folder / LUT_FILE) in message
    assert "build-lut" in message


@pytest.mark.parametrize("name", [LADDER_FILE, LUT_FILE])
@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"\xff", b"null"])
def test_other_files_are_refused(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    assert str(folder) in refused(folder)
