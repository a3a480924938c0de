"""Each kind of document says its format; those of before there were formats are read, later ones are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arm_batch import pipeline
from arm_batch.budget import quota_journal as pool_journal
from arm_batch.budget.quota_journal import QuotaJournal
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.json_records import decode_record
from arm_batch.errors import LadderError, NewerError, StoreError
from arm_batch.models.ladder_files import find_ladder, load_ladder
from arm_batch.report import RunRecord
from arm_batch.runstate import table_format
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.manifest import MANIFEST_KEY
from arm_batch.runstate.verify import verify_store
from arm_batch.spec import DEFAULT_OBJECTIVE, Resume
from arm_batch.storage.open import open_store
from arm_batch.storage.tables import write_tables
from tests.archives import LADDER, draw, job, make_archive, silent, write_png
from tests.fuzz.outputs import run_until
from tests.sealed import changed, of_before

OUTPUT = {
    "plan/g0000/generation.json",
    "plan/g0000/allocation.json",
    "plan/g0000/epoch-0001.json",
    "plan/g0000/tables-0000-*.npz",
    "plan/g0000/tables-0001-*.npz",
    "plan/g0000/listing-*.parquet",
    "plan/g0000/shards/000000.parquet",
    "commits/g0000/000000.json",
    "manifest.json",
}
POOL = {"journal/000000000000.json", "journal/000000000001.json", "snapshots/*.json", "demands/*.npz"}


def documents(folder: Path, patterns: set[str]) -> dict[str, Path]:
    """A file of each kind."""
    found = {pattern: sorted(folder.glob(pattern)) for pattern in patterns}
    assert all(found.values()), found
    return {pattern: paths[-1] for pattern, paths in found.items()}


def arrays(path: Path) -> dict[str, np.ndarray]:
    return dict(np.load(path))


def rewrite(path: Path, metadata: dict[bytes, bytes] | None) -> None:
    """A Parquet file with other metadata."""
    pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)


def to_before(path: Path) -> None:
    """Make a file what the version before would have written."""
    if path.suffix == ".json":
        path.write_bytes(of_before(path.read_bytes()))
        return
    if path.suffix == ".parquet":
        rewrite(path, None)
        return
    found: dict[str, Any] = arrays(path)
    del found["format"], found["checksum"]
    np.savez_compressed(path, **found)


def to_later(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a file what a later version might write."""
    if path.suffix == ".json":
        path.write_bytes(changed(path.read_bytes(), format=2, more=[]))
        return
    if path.suffix == ".parquet":
        with monkeypatch.context() as later:
            later.setattr(table_format, "_FORMAT", 2)
            rewrite(path, table_format.with_format(pa.schema([])).metadata)
        return
    found = {name: array for name, array in arrays(path).items() if name not in ("format", "checksum")}
    store, tables = open_store(str(path.parent)), write_tables
    with monkeypatch.context() as later:
        later.setattr("arm_batch.storage.tables._FORMAT", 2)
        tables(store, path.name, found)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run whose budget was added to."""
    root = tmp_path_factory.mktemp("formats")
    spec = job(make_archive(root / "in"), root / "out", shard_images=1)
    run_until(spec, "run", 1)
    pipeline.upscale(replace(spec, resume=Resume(add_budget=parse_budget("10%"))), silent)
    return root / "out"


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool that a job draws from, with a snapshot."""
    root = tmp_path_factory.mktemp("formats")
    journal = QuotaJournal(open_store(str(root / "pool")))
    journal.create("pool", 10**12)
    write_png(root / "in" / "a.png", draw(1, 40, 40))
    write_png(root / "in" / "b.png", draw(2, 40, 40))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool_journal, "SNAPSHOT_EVERY", 1)
        run_until(job(root / "in", root / "out", f"pool:{root / 'pool'}", shard_images=1), "run", 1)
    return root / "pool"


def test_all_documents_of_a_run_and_a_pool_say_their_format(output: Path, pool: Path) -> None:
    found = [path for folder in (output, pool) for path in folder.rglob("*") if path.suffix in (".json", ".npz")]
    assert len(found) > 15
    for path in found:
        document = json.loads(path.read_bytes()) if path.suffix == ".json" else arrays(path)
        format = RunRecord.format if path.name == "run.json" else 1
        assert (int(document["format"]), len(document["checksum"])) == (
            format,
            64 if path.suffix == ".json" else 32,
        )


def test_the_record_of_a_run_is_read_by_its_type(output: Path) -> None:
    record = decode_record((output / "run.json").read_bytes(), RunRecord, "run.json", StoreError)
    assert record.images == 7
    assert [generation.kind for generation in record.generations] == ["initial"]
    assert len(record.allocation.score_edges) + 1 == len(record.allocation.score_cuts)
    assert [attempt.outcome for attempt in record.attempts] == ["stopped", "done"]


def test_the_record_of_a_run_of_before_attempts_is_read(output: Path) -> None:
    values = json.loads((output / "run.json").read_bytes())
    for name in ("format", "checksum", "started", "ended", "seconds", "attempts"):
        del values[name]
    record = decode_record(json.dumps(values).encode(), RunRecord, "run.json", StoreError)
    assert (record.images, record.started, record.attempts) == (7, None, ())


def test_an_output_of_before_is_read_and_goes_on(output: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(output, tmp_path / "out")
    for path in sorted(copy.rglob("*")):
        if path.suffix in (".json", ".npz") or (path.suffix == ".parquet" and "plan" in path.parts):
            to_before(path)
    store = open_store(str(copy))
    found = verify_store(store, list_generations(store))
    assert (found.images, found.problems) == (7, ())
    (copy / "commits" / "g0000" / "000001.json").unlink()
    assert verify_store(store, list_generations(store)).left == 1


@pytest.mark.parametrize("kind", sorted(OUTPUT))
def test_a_document_of_before_among_others_is_read(output: Path, tmp_path: Path, kind: str) -> None:
    copy = shutil.copytree(output, tmp_path / "out")
    to_before(documents(copy, OUTPUT)[kind])
    store = open_store(str(copy))
    assert verify_store(store, list_generations(store)).problems == ()


@pytest.mark.parametrize("kind", sorted(OUTPUT))
def test_a_later_document_of_a_run_is_refused_and_left_alone(
    output: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(output, tmp_path / "out")
    to_later(documents(copy, OUTPUT)[kind], monkeypatch)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    spec = replace(job(output.parent / "in", copy, shard_images=1), resume=Resume(repair=True))
    store = open_store(str(copy))
    attempts: list[Callable[[], object]] = [lambda: verify_store(store, list_generations(store))]
    attempts += [lambda: pipeline.upscale(spec, silent)]
    for attempt in attempts:
        with pytest.raises(NewerError, match=r"was written by a newer arm-batch, in format 2") as caught:
            attempt()
        assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    assert MANIFEST_KEY in {path.relative_to(copy).as_posix() for path in before}


@pytest.mark.parametrize("kind", sorted(POOL))
def test_documents_of_a_pool(pool: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(folder: Path) -> object:
        journal = QuotaJournal(open_store(str(folder)))
        if kind.startswith("demands"):
            return journal.read_demand(
                documents(folder, POOL)[kind].relative_to(folder).as_posix(), DEFAULT_OBJECTIVE
            ).costs
        return journal.refresh()

    copy = shutil.copytree(pool, tmp_path / "pool")
    if kind.startswith("journal"):
        shutil.rmtree(copy / "snapshots")
        patterns = POOL - {"snapshots/*.json"}
    else:
        patterns = POOL
    wanted = read(copy)
    to_before(documents(copy, patterns)[kind])
    assert np.array_equal(np.array(read(copy)), np.array(wanted))
    shutil.copytree(pool, copy, dirs_exist_ok=True)
    if kind.startswith("journal"):
        shutil.rmtree(copy / "snapshots")
    to_later(documents(copy, patterns)[kind], monkeypatch)
    with pytest.raises(NewerError, match=r"was written by a newer arm-batch, in format 2"):
        read(copy)


@pytest.mark.parametrize("told", [b"", b"2", b"1 0", b"2 b6a5c1e2f3a4d5c6", b"x", "²".encode()])
def test_a_damaged_format_of_a_table_is_no_later_version(output: Path, tmp_path: Path, told: bytes) -> None:
    copy = shutil.copytree(output, tmp_path / "out")
    store = open_store(str(copy))
    rewrite(documents(copy, OUTPUT)["plan/g0000/shards/000000.parquet"], {b"arm_batch.format": told})
    (problem,) = verify_store(store, list_generations(store)).problems
    assert "what it says of its format is no format" in problem.what
    rewrite(documents(copy, OUTPUT)["plan/g0000/listing-*.parquet"], {b"arm_batch.format": told})
    assert any("listing" in problem.key for problem in verify_store(store, list_generations(store)).problems)


@pytest.mark.parametrize("name", ["ladder.json", "lut.json"])
def test_documents_of_a_ladder(tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(find_ladder(LADDER), tmp_path / "ladder")
    path = folder / name
    shipped = json.loads(path.read_bytes())
    shipped.pop("format", None)
    if name == "ladder.json":
        path.write_text(json.dumps(shipped | {"format": 1}))
    else:
        path.write_bytes(changed(path.read_bytes(), format=1))
    load_ladder(folder)
    newest = 2 if name == "ladder.json" else 1
    path.write_bytes(changed(path.read_bytes(), format=newest + 1))
    with pytest.raises(NewerError, match=rf"{name} was written by a newer arm-batch, in format {newest + 1}"):
        load_ladder(folder)
    path.write_text(json.dumps(shipped | {"format": 0}))
    with pytest.raises(LadderError, match=rf"at `\$\.format`: expected a whole number from 1 to {newest}"):
        load_ladder(folder)
