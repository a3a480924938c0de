"""Damage to an output ends in one line that names the file and what to do, and never in a false row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from arm_batch import pipeline
from arm_batch.errors import OutputError, StoreError
from arm_batch.runstate.dataset import failures, open_dataset
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.manifest import read_manifest
from arm_batch.runstate.verify import verify_store
from arm_batch.spec import JobSpec, Resume, Sink
from arm_batch.storage.open import open_store
from tests.archives import job, make_archive, silent
from tests.sealed import changed

REPAIR = Resume(repair=True)


@pytest.fixture(params=["all sound", "one failed"])
def finished(request: pytest.FixtureRequest, tmp_path: Path) -> JobSpec:
    """A finished run, with a failed row and without."""
    archive = make_archive(tmp_path / "in")
    if request.param == "one failed":
        (archive / "broken.png").write_text("no picture")
    spec = job(archive, tmp_path / "out", shard_images=2)
    pipeline.upscale(spec, silent)
    return spec


def refused(spec: JobSpec, error: type[Exception] = StoreError) -> str:
    with pytest.raises(error) as caught:
        pipeline.upscale(spec, silent)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rows(output: Path) -> list[dict[str, object]]:
    # Without the images: tars are named after attempts, and a row has the hash of its image.
    return list(open_dataset(str(output)).to_table().sort_by("path").drop_columns("image").to_pylist())


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [empty, cut_off, Path.unlink])
@pytest.mark.parametrize("sink", ["parquet", "webdataset"])
def test_a_damaged_part_of_a_finished_output_is_told_and_mended(
    finished: JobSpec, tmp_path: Path, sink: Sink, damage: Callable[[Path], None]
) -> None:
    if sink == "webdataset":
        finished = replace(finished, sink=sink, output=str(tmp_path / "tars"))
        pipeline.upscale(finished, silent)
    output = Path(finished.output)
    before = rows(output)
    part = next((output / ("data" if sink == "parquet" else "tars")).iterdir())
    damage(part)
    for _ in range(2):
        told = refused(finished)
        assert part.name in told
        assert "--repair" in told
        assert "verify" in told
    pipeline.upscale(replace(finished, resume=REPAIR), silent)
    assert rows(output) == before


def test_a_damaged_file_of_failures_is_named(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    (archive / "broken.png").write_text("no picture")
    pipeline.upscale(job(archive, tmp_path / "out"), silent)
    assert [path for path, _ in failures(str(tmp_path / "out"), None, 5)] == ["broken.png"]
    (part,) = (tmp_path / "out" / "data").glob("*-failed.parquet")
    part.write_bytes(b"\0" * part.stat().st_size)
    with pytest.raises(StoreError, match=rf"{part.name} is damaged: .*--repair"):
        failures(str(tmp_path / "out"), None, 5)


def test_a_damaged_shard_plan_of_a_shard_with_a_retry_is_made_again(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    (archive / "broken.png").write_text("no picture")
    spec = job(archive, tmp_path / "out", shard_images=3)
    pipeline.upscale(spec, silent)
    pipeline.upscale(replace(spec, resume=Resume(retry_failed=True)), silent)
    before = rows(tmp_path / "out")
    for plan in sorted((tmp_path / "out" / "plan").glob("g*/shards/*.parquet")):
        cut_off(plan)
        pipeline.upscale(replace(spec, resume=REPAIR), silent)
        assert rows(tmp_path / "out") == before
        store = open_store(str(tmp_path / "out"))
        assert verify_store(store, list_generations(store)).problems == ()


@pytest.mark.parametrize("place", [0, 30, 100, 400, -200, -30, -5])
def test_one_flipped_byte_in_the_tables_is_told_everywhere(finished: JobSpec, place: int) -> None:
    output = Path(finished.output)
    (tables,) = (output / "plan" / "g0000").glob("tables-*.npz")
    data = bytearray(tables.read_bytes())
    data[place] ^= 0xFF
    tables.write_bytes(data)
    store = open_store(finished.output)
    problems = verify_store(store, list_generations(store)).problems
    if not problems:
        # Of a few bytes, such as the time of packing, nothing depends.
        pipeline.upscale(finished, silent)
        return
    assert [problem.repair for problem in problems] == ["none"]
    assert tables.name in str(problems[0])
    assert tables.name in refused(finished)
    assert tables.name in refused(replace(finished, resume=REPAIR), OutputError)


@pytest.mark.parametrize(
    ("key", "changes", "told"),
    [
        ("plan/g0000/generation.json", {"settings": None}, "at `$.settings`: expected `object`"),
        ("plan/g0000/allocation.json", {"costs": []}, "at `$.costs`: expected FLOPs that ascend"),
        ("plan/g0000/allocation.json", {"costs": [1, 2, 3, 4]}, "was made for another ladder"),
        ("plan/g0000/allocation.json", {"subnet_tiles": {}}, "at `$.subnet_tiles`: expected `array`"),
        ("plan/g0000/allocation.json", {"subnet_tiles": [1, 1, 1, 1]}, "its tiles by subnet differ"),
        ("plan/g0000/allocation.json", {"price": float("nan")}, "NaN is no number"),
        ("plan/g0000/allocation.json", {"quality": {}}, "at `$.quality`: object missing required field"),
        ("plan/g0000/allocation.json", {"run_id": "other"}, "is the allocation of another generation"),
        ("plan/g0000/allocation.json", {"tables": "plan/g0000/tables-/../../x"}, "at `$.tables`: expected"),
        ("commits/g0000/000001.json", {"subnet_tiles": float("inf")}, "Infinity is no number"),
        ("commits/g0000/000001.json", {"subnet_tiles": [1]}, "does not count the tiles of 4 subnets"),
        ("commits/g0000/000001.json", {"done": []}, "at `$.done`: expected `object | null`"),
    ],
)
def test_a_damaged_document_ends_a_run_in_words(
    finished: JobSpec, key: str, changes: dict[str, object], told: str
) -> None:
    path = Path(finished.output) / key
    path.write_bytes(changed(path.read_bytes(), **changes))
    message = refused(finished)
    assert key in message
    assert told in message


@pytest.mark.parametrize("subnet_tiles", [[1], [1, 1, 1, 1]])
def test_tiles_that_no_row_has_are_found_and_mended(finished: JobSpec, subnet_tiles: list[int]) -> None:
    path = Path(finished.output) / "commits/g0000/000001.json"
    path.write_bytes(changed(path.read_bytes(), subnet_tiles=subnet_tiles))
    store = open_store(finished.output)
    (problem,) = verify_store(store, list_generations(store)).problems
    assert (problem.key, problem.repair) == ("commits/g0000/000001.json", "again")
    pipeline.upscale(replace(finished, resume=REPAIR), silent)
    assert verify_store(store, list_generations(store)).problems == ()


@pytest.mark.parametrize("parts", [[1, 2], {}, None])
def test_a_damaged_manifest_is_written_anew(finished: JobSpec, parts: object) -> None:
    path = Path(finished.output) / "manifest.json"
    whole = path.read_bytes()
    path.write_bytes(changed(whole, parts=parts))
    with pytest.raises(StoreError, match=r"manifest\.json is not a manifest: at `\$\.parts.*writes it anew"):
        read_manifest(open_store(finished.output))
    pipeline.upscale(finished, silent)
    assert path.read_bytes() == whole
