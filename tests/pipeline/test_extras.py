"""Columns that an input has beside its images: they come out with the rows, whatever becomes of the images."""

from __future__ import annotations

import datetime
import json
import tarfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arm_batch import open_dataset, pipeline
from arm_batch.core.selection.selection import Selection
from arm_batch.errors import InputError, StoppedError
from arm_batch.runstate.rows import SCHEMA
from arm_batch.spec import DryRunSpec, JobSpec, PlanSpec, Resume, Sink
from tests.archives import LADDER, draw, job, replanned, silent, write_png
from tests.pipeline.test_inputs import rows
from tests.pipeline.test_resume import stop_after

TYPES: dict[str, pa.Array] = {
    "caption": pa.array(["one", None, "three", "four"]),
    "label": pa.array([3, 1, 2, 0], pa.int16()),
    "score": pa.array([0.5, float("inf"), None, 1.0], pa.float32()),
    "tags": pa.array([["a", "b"], [], None, ["c"]], pa.list_(pa.string())),
    "box": pa.array([{"x": 1, "y": [1.5]}, None, {"x": 2, "y": None}, {"x": 3, "y": []}]),
    "when": pa.array([datetime.datetime(2020, 1, day) for day in range(1, 5)], pa.timestamp("ms", "UTC")),
    "price": pa.array([Decimal("1.50"), None, Decimal("2.25"), None], pa.decimal128(8, 2)),
    "kind": pa.array(["cat", "dog", "cat", None]).dictionary_encode(),
    "vector": pa.array([[1.0, 2.0]] * 4, pa.list_(pa.float32(), 2)),
    "raw": pa.array([b"\0", b"", None, b"x"]),
    "nothing": pa.nulls(4),
    "status": pa.array(["new"] * 4),
    "path": pa.array(["d.png", "c.png", "b.png", "a.png"]),
    "input_path": pa.array([1, 2, 3, 4]),
}


@pytest.fixture
def pngs(tmp_path: Path) -> list[bytes]:
    """Four files, of which the third is damaged."""
    for number in range(4):
        write_png(tmp_path / f"{number}.png", draw(number, 12, 14))
    data = [(tmp_path / f"{number}.png").read_bytes() for number in range(4)]
    return [*data[:2], data[2][:50], data[3]]


def write(folder: Path, name: str, pngs: list[bytes], columns: dict[str, Any], **options: Any) -> None:
    folder.mkdir(exist_ok=True)
    images = pa.array([{"bytes": data, "path": None} for data in pngs])
    pq.write_table(pa.table({"image": images, **columns}, **options), folder / name)


@pytest.fixture
def spec(tmp_path: Path, pngs: list[bytes]) -> JobSpec:
    write(tmp_path / "in", "p.parquet", pngs, TYPES)
    return job(tmp_path / "in", tmp_path / "out", shard_images=2)


EXPECTED: dict[str, dict[str, Any]] = {
    "d.png": {
        "caption": "one",
        "label": 3,
        "tags": ["a", "b"],
        "kind": "cat",
        "nothing": None,
        "input_status": "new",
    },
    "c.png": {"caption": None, "label": 1, "tags": [], "kind": "dog", "nothing": None, "input_status": "new"},
    "b.png": {"caption": "three", "label": 2, "tags": None, "kind": "cat", "nothing": None, "input_status": "new"},
    "a.png": {"caption": "four", "label": 0, "tags": ["c"], "kind": None, "nothing": None, "input_status": "new"},
}


@pytest.mark.parametrize("sink", ["parquet", "files", "webdataset"])
def test_columns_of_any_type_come_along(spec: JobSpec, tmp_path: Path, sink: Sink) -> None:
    assert pipeline.upscale(replace(spec, sink=sink), silent).failed == 1
    dataset = open_dataset(str(tmp_path / "out"))
    assert dataset.schema.names[: len(SCHEMA)] == SCHEMA.names
    renamed = [{"status": "input_status", "path": "input_path"}.get(name, name) for name in TYPES]
    renamed[-1] = "input_input_path"
    assert dataset.schema.names[len(SCHEMA) :] == renamed
    for name, values in zip(renamed, TYPES.values(), strict=True):
        plain = {"kind": pa.string(), "nothing": pa.string()}.get(name, values.type)
        kind = dataset.schema.field(name).type
        assert kind == plain or str(kind) == str(plain).replace("item:", "element:")
    assert rows(tmp_path / "out", *EXPECTED["a.png"]) == EXPECTED
    whole = dataset.to_table(["path", *renamed]).sort_by([("path", "descending")])
    for name, values in zip(renamed, TYPES.values(), strict=True):
        assert whole[name].to_pylist() == values.to_pylist()
    if sink == "webdataset":
        (tar, *_) = sorted((tmp_path / "out" / "tars").iterdir())
        with tarfile.open(tar) as members:
            texts = [members.extractfile(member) for member in members if member.name.endswith(".json")]
            samples = [json.load(text) for text in texts if text is not None]
        captions = {path: row["caption"] for path, row in EXPECTED.items()}
        assert {s["path"]: s["caption"] for s in samples}.items() <= captions.items()
        assert samples[0]["when"].startswith("2020-01-0")


@pytest.mark.parametrize(("stage", "number"), [("plan", 1), ("run", 1)])
def test_a_run_that_was_stopped_has_the_columns_that_it_began_with(
    spec: JobSpec, tmp_path: Path, stage: str, number: int
) -> None:
    with pytest.raises(StoppedError):
        pipeline.upscale(spec, *stop_after(stage, number))
    pipeline.upscale(spec, silent)
    assert rows(tmp_path / "out", *EXPECTED["a.png"]) == EXPECTED


def test_a_retry_and_a_plan_keep_them(spec: JobSpec, tmp_path: Path) -> None:
    plan = DryRunSpec(
        plan=PlanSpec(input=spec.plan.input, ladder=LADDER, scale=4, executor="inline", workers=1),
        output=str(tmp_path / "plan"),
    )
    pipeline.plan(plan, silent)
    pipeline.upscale(replace(spec, adopt=plan.output), silent)
    pipeline.upscale(replace(spec, resume=Resume(retry_failed=True)), silent)
    assert rows(tmp_path / "out", *EXPECTED["a.png"]) == EXPECTED
    assert len(list((tmp_path / "out" / "plan").glob("g*"))) == 2


def test_copies_and_selections_have_their_own(tmp_path: Path, pngs: list[bytes]) -> None:
    columns = {"path": ["a", "b", "c", "d"], "caption": ["1", "2", "3", "4"]}
    write(tmp_path / "in", "p.parquet", [pngs[0], pngs[1], pngs[0], pngs[3]], columns)
    spec = replanned(job(tmp_path / "in", tmp_path / "out"), dedup=True, selection=Selection(exclude=("b",)))
    pipeline.upscale(spec, silent)
    assert rows(tmp_path / "out", "caption", "copy_of") == {
        "a": {"caption": "1", "copy_of": None},
        "c": {"caption": "3", "copy_of": "a"},
        "d": {"caption": "4", "copy_of": None},
    }


def test_files_that_have_different_columns(tmp_path: Path, pngs: list[bytes]) -> None:
    write(tmp_path / "in", "p.parquet", pngs[:1], {"n": pa.array([1], pa.int32()), "odd": ["x"], "only": [True]})
    write(tmp_path / "in", "q.parquet", pngs[1:2], {"n": pa.array([2], pa.int64()), "odd": [[5]], "late": [2.5]})
    spec = job(tmp_path / "in", tmp_path / "out")
    summary = pipeline.upscale(spec, silent)
    assert summary.skipped == ("the column odd: its type differs from file to file",)
    assert rows(tmp_path / "out", "n", "only", "late") == {
        "p/00000000": {"n": 1, "only": True, "late": None},
        "q/00000000": {"n": 2, "only": None, "late": 2.5},
    }
    write(tmp_path / "in", "r.parquet", pngs[3:4], {"n": pa.array([3], pa.int8()), "new": ["y"]})
    pipeline.upscale(replace(spec, resume=Resume(extend=True)), silent)
    assert rows(tmp_path / "out", "n", "only")["r/00000000"] == {"n": 3, "only": None}
    assert "new" not in open_dataset(str(tmp_path / "out")).schema.names
    write(tmp_path / "in", "s.parquet", pngs[3:4], {"only": ["text"]})
    summary = pipeline.upscale(replace(spec, resume=Resume(extend=True)), silent)
    assert "the column only: its type differs from file to file" in summary.skipped
    assert rows(tmp_path / "out", "n", "only")["s/00000000"] == {"n": None, "only": None}


def test_a_column_that_becomes_one_of_another_type_is_refused(tmp_path: Path, pngs: list[bytes]) -> None:
    write(tmp_path / "in", "p.parquet", pngs[:1], {"n": [1]})
    spec = job(tmp_path / "in", tmp_path / "out")
    pipeline.upscale(spec, silent)
    (tmp_path / "in" / "p.parquet").unlink()
    write(tmp_path / "in", "q.parquet", pngs[1:2], {"n": ["text"]})
    with pytest.raises(InputError, match="the column n of the input was int64, and is string"):
        pipeline.upscale(replace(spec, resume=Resume(extend=True)), silent)


def test_images_without_columns_may_be_followed_by_some_with(tmp_path: Path, pngs: list[bytes]) -> None:
    write(tmp_path / "in", "p.parquet", pngs[:1], {})
    spec = job(tmp_path / "in", tmp_path / "out")
    pipeline.upscale(spec, silent)
    write(tmp_path / "in", "q.parquet", pngs[1:2], {"caption": ["x"]})
    pipeline.upscale(replace(spec, resume=Resume(extend=True)), silent)
    assert len(rows(tmp_path / "out")) == 2
    assert open_dataset(str(tmp_path / "out")).schema.names == SCHEMA.names


def test_a_column_that_is_too_large_stays_behind(
    tmp_path: Path, pngs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arm_batch.inputs.parquet_columns.LARGEST", 3 << 20)
    write(
        tmp_path / "in", "p.parquet", pngs, {"big": [bytes([n]) * (1 << 20) for n in range(4)], "n": [1, 2, 3, 4]}
    )
    summary = pipeline.upscale(job(tmp_path / "in", tmp_path / "out"), silent)
    assert summary.skipped == ("the column big: its 4 MiB are too many to go along",)
    assert [row["n"] for row in rows(tmp_path / "out", "n").values()] != []


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_columns_of_a_list(tmp_path: Path, suffix: str) -> None:
    write_png(tmp_path / "a.png", draw(0, 9, 9))
    columns = {"uri": ["a.png", "missing.png"], "caption": ["x, y", ""], "n": ["1", "2"]}
    name = f"l{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table(columns), tmp_path / name)
    else:
        comma = "," if suffix == ".csv" else "\t"
        lines = ["uri,caption,n", 'a.png,"x, y",1', "missing.png,,2"]
        cells = [line.replace('"x, y"', "\0").replace(",", comma).replace("\0", '"x, y"') for line in lines]
        (tmp_path / name).write_text("\n".join(cells))
    pipeline.upscale(job(tmp_path / name, tmp_path / "out"), silent)
    assert rows(tmp_path / "out", "status", "uri", "caption", "n") == {
        "a.png": {"status": "ok", "uri": "a.png", "caption": "x, y", "n": "1"},
        "missing.png": {"status": "failed", "uri": "missing.png", "caption": "", "n": "2"},
    }


def test_hugging_face_reads_them_as_they_were(
    tmp_path: Path, pngs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    features = {
        "label": {"_type": "ClassLabel", "names": ["cat", "dog"]},
        "image": {"_type": "Image"},
    }
    told = {"huggingface": json.dumps({"info": {"features": features}})}
    columns = {"label": pa.array([0, 1], pa.int64()), "tags": pa.array([["a"], []], pa.list_(pa.string()))}
    write(tmp_path / "in", "p.parquet", pngs[:2], columns, metadata=told)
    pipeline.upscale(job(tmp_path / "in", tmp_path / "out"), silent)
    loaded = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "out" / "data" / "*.parquet"), cache_dir=str(tmp_path / "cache")
    )["train"]
    assert loaded.features["label"].names == ["cat", "dog"]
    assert loaded[0]["image"].size == (56, 48)
    assert loaded["tags"][:] == [["a"], []]
