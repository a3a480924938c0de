"""Every kind of INPUT, from listing to verified rows."""

from __future__ import annotations

import os
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from arm_batch import open_dataset, pipeline
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.verify import verify_store
from arm_batch.spec import Resume
from arm_batch.storage.local import LocalStore
from tests.archives import draw, job, make_archive, silent, write_png


def rows(output: Path, *columns: str) -> dict[str, Any]:
    """Of a whole output: its rows by path."""
    store = LocalStore(str(output))
    found = verify_store(store, list_generations(store))
    assert (found.problems, found.left) == ((), 0)
    table = open_dataset(str(output)).to_table(["path", *columns])
    return {row.pop("path"): row for row in table.to_pylist()}


def test_a_list(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    (tmp_path / "list.txt").write_text(f"in/a.png\n{archive}/deep/c.png\nin/../in/b.png\nin/late.png\nin/a.png\n")
    spec = job(tmp_path / "list.txt", tmp_path / "out", budget="100%", sink="files", shard_images=2)
    assert pipeline.upscale(spec, silent).failed == 1
    pipeline.upscale(job(archive, tmp_path / "whole", budget="100%"), silent)
    whole, found = rows(tmp_path / "whole", "sha256"), rows(tmp_path / "out", "sha256", "error")
    assert found.pop("in/late.png") == {"sha256": None, "error": "does not exist, or is a folder"}
    outside = next(path for path in found if path.startswith("in/in/b-"))
    for path, same in {
        "in/a.png": "a.png",
        "in/a-2.png": "a.png",
        f"{archive}/deep/c.png".removeprefix("/"): "deep/c.png",
        outside: "b.png",
    }.items():
        assert found.pop(path)["sha256"] == whole[same]["sha256"]
        assert (tmp_path / "out" / "images" / path).is_file()
    assert not found
    write_png(archive / "late.png", draw(1, 20, 20))
    with (tmp_path / "list.txt").open("a") as file:
        file.write("in/grey.png")
    summary = pipeline.upscale(replace(spec, resume=Resume(extend=True, retry_failed=True)), silent)
    assert (summary.images, summary.failed) == (6, 0)
    assert len(rows(tmp_path / "out")) == 6


def test_tars_give_the_images_of_files(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    pipeline.upscale(job(archive, tmp_path / "whole", budget="100%", shard_images=2), silent)
    (tmp_path / "shards").mkdir()
    for number, names in enumerate((["a.png", "b.png", "deep"], ["grey.png", "sixteen.png", "sixteen-grey.png"])):
        with tarfile.open(tmp_path / "shards" / f"{number}.tar", "w") as tar:
            for name in names:
                tar.add(archive / name, name)
    (tmp_path / "shards" / "2.tar").write_bytes((tmp_path / "shards" / "1.tar").read_bytes()[:3000])
    spec = job(tmp_path / "shards", tmp_path / "out", budget="100%", sink="files", shard_images=2)
    assert pipeline.upscale(spec, silent).failed == 1
    found = rows(tmp_path / "out", "sha256", "error", "source_size")
    assert "cut off within 'grey.png'" in found.pop("2.tar")["error"]
    whole = rows(tmp_path / "whole", "sha256", "error", "source_size")
    assert {path.partition("/")[2]: row for path, row in found.items()} == whole
    assert (tmp_path / "out" / "images" / "0" / "deep" / "er" / "d.png").is_file()


def test_a_messy_folder(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "in")
    write_png(tmp_path / "elsewhere" / "x" / "far.png", draw(0, 9, 9))
    write_png(archive / "odd name\n+%.png", draw(0, 9, 9))
    write_png(archive / ("x" * 251 + ".png"), draw(0, 9, 9))
    (archive / "ring").symlink_to(archive)
    (archive / "away").symlink_to(tmp_path / "elsewhere")
    (archive / "broken.png").symlink_to(tmp_path / "nothing")
    (archive / "loop.png").symlink_to(archive / "loop.png")
    os.mkfifo(archive / "pipe.png")
    write_png(Path(os.fsdecode(os.fsencode(archive) + b"/latin-\xfc.png")), draw(0, 9, 9))
    (archive / "notes.txt").write_text("hello")
    (archive / "table.parquet").write_text("not read")
    (archive / ".hidden").mkdir()
    spec = job(archive, tmp_path / "out", budget="100%", sink="files")
    summary = pipeline.upscale(spec, silent)
    found = rows(tmp_path / "out", "status", "error")
    assert {path: row["error"] for path, row in found.items() if row["status"] == "failed"} == {
        "broken.png": "is a link that leads nowhere",
        "loop.png": "too many levels of symbolic links",
        "pipe.png": "is a named pipe, not a regular file",
        "latin-\\xfc.png": "its name is not valid UTF-8: rename it",
    }
    assert len(found) == 7 + 3 + 4
    assert found["away/x/far.png"]["status"] == found["odd name\n+%.png"]["status"] == "ok"
    assert summary.skipped == (
        "1 .parquet files: where there are image files, those are taken",
        "files: 1 of other kinds (.txt 1)",
        "ring is a link to INPUT, which is taken already",
        "1 files or folders whose names begin with a dot",
    )
    assert pipeline.upscale(replace(spec, resume=Resume(extend=True)), silent).images == summary.images
