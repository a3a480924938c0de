"""The whole corpus through the main job: every file becomes what it should, and nothing else is touched."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from arm_batch import cli, open_dataset
from arm_batch.cli import exit_codes
from arm_batch.core.tiling.spoiled import DITHERED, THIN
from arm_batch.images import decode
from arm_batch.runstate.image_reader import Images
from arm_batch.runstate.rows import StoredImage
from arm_batch.storage.open import open_store
from tests.archives import ALONE, LADDER
from tests.corpus.case import READING, Failed, Upscaled, in_levels_of_8
from tests.corpus.files import SOUND
from tests.corpus.outcomes import BROKEN_FILES

CASES = SOUND | BROKEN_FILES

SINKS = ("parquet", "files")


def upscale(*arguments: str) -> int:
    """The exit code of the command."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["upscale", *arguments, "--ladder", LADDER, *ALONE])
    return int(caught.value.code or 0)


def snapshot(folder: Path, without: tuple[Path, ...]) -> dict[str, tuple[int, str]]:
    """Kind and content of all there is, but for what is in some folders."""
    return {
        str(path): (path.lstat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in folder.rglob("*")
        if not any(path.is_relative_to(other) for other in without)
    }


def rows_of(output: Path) -> dict[str, dict[str, Any]]:
    return {row["path"]: row for row in open_dataset(str(output)).to_table().to_pylist()}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the corpus lies, and beside it an output for each sink. Nothing else there is touched."""
    folder = tmp_path_factory.mktemp("corpus")
    for path, case in CASES.items():
        (folder / "in" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / path).write_bytes(case.data)
    outputs = tuple(folder / sink for sink in SINKS)
    before = snapshot(folder, outputs)
    for sink, budget in zip(SINKS, ("100%", "10%"), strict=True):
        options = ("--sink", sink, "--budget", budget, "--float-range", "0,1")
        code = upscale(str(folder / "in"), str(folder / sink), *options, "--max-pixels", str(READING.max_pixels))
        assert code == exit_codes.FAILED_IMAGES
    assert snapshot(folder, outputs) == before
    return folder


@pytest.fixture(scope="module", params=SINKS)
def sink(request: pytest.FixtureRequest) -> str:
    """Of which output a test is."""
    return str(request.param)


@pytest.fixture(scope="module")
def output(done: Path, sink: str) -> Path:
    """One of the outputs."""
    return done / sink


@pytest.fixture(scope="module")
def rows(output: Path) -> dict[str, dict[str, Any]]:
    """Its rows by path."""
    return rows_of(output)


def test_every_file_is_a_row(rows: dict[str, dict[str, Any]]) -> None:
    assert sorted(rows) == sorted(CASES)


@pytest.mark.parametrize("path", CASES)
def test_a_file_becomes_what_it_should(output: Path, rows: dict[str, dict[str, Any]], path: str) -> None:
    row, outcome = rows[path], CASES[path].outcome
    if isinstance(outcome, Failed):
        assert (row["status"], row["image"], row["flops"]) == ("failed", None, 0)
        assert re.fullmatch(outcome.reason, row["error"])
        return
    assert (row["status"], row["error"]) == ("ok", None)
    assert_told(row, outcome)
    assert_shown(Images(open_store(str(output))).read(StoredImage(**row["image"])), outcome)


def assert_told(row: dict[str, Any], outcome: Upscaled) -> None:
    height, width, channels = outcome.bands.shape
    assert (row["width"], row["height"], row["channels"]) == (4 * width, 4 * height, channels)
    assert (row["bit_depth"], row["format"]) == (8 * outcome.bands.itemsize, outcome.format)
    # Many a case is of two tones or thin, which has tests of its own.
    assert tuple(note for note in row["notes"] if note not in (DITHERED, THIN)) == outcome.notes


def assert_shown(data: bytes, outcome: Upscaled) -> None:
    """The output, averaged to the input's size, is the input, wherever one sees anything."""
    picture = decode(data)
    assert picture.metadata.icc == outcome.icc
    after = np.concatenate([picture.pixels, picture.planes], axis=2)
    height, width, channels = outcome.bands.shape
    if outcome.format in ("webp", "avif") and channels == 1:
        after = after[..., :1]
    assert after.shape[2] == channels
    assert after.dtype == outcome.bands.dtype
    before = in_levels_of_8(outcome.bands)
    size = (width, height)
    averaged = np.dstack(
        [cv2.resize(band, size, interpolation=cv2.INTER_AREA) for band in cv2.split(in_levels_of_8(after))]
    )
    alpha = before[..., -1:] if picture.has_alpha else np.ones_like(before[..., -1:])
    # What is hidden has no colour of its own; alpha itself counts everywhere.
    weight = np.where(np.arange(channels) == channels - 1, 1.0, alpha > 0) if picture.has_alpha else alpha
    difference = (np.abs(averaged - before) * weight).mean()
    assert difference < outcome.within
