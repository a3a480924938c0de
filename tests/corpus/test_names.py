"""Names meant to harm, or that only some file systems know: each image is a row, and none gets outside."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arm_batch import open_dataset
from arm_batch.cli import exit_codes
from arm_batch.runstate.generation import list_generations
from arm_batch.runstate.verify import verify_store
from arm_batch.storage.open import open_store
from tests.corpus.scenes import patch
from tests.corpus.test_corpus import rows_of, snapshot, upscale
from tests.image_files import saved

DATA = saved(patch(8, 8), "PNG")

IN_FOLDERS = {
    "CON.png": "CON.png",
    "trailing .png": "trailing .png",
    " leading.png": " leading.png",
    "dots...png": "dots...png",
    "control\x01\x1b[2J.png": "control\x01\x1b[2J.png",
    "line\nbreak.png": "line\nbreak.png",
    "back\\slash.png": "back\\slash.png",
    "..\\..\\x.png": None,
    "quotes'\".png": "quotes'\".png",
    "%2e%2e%2fx.png": "%2e%2e%2fx.png",
    "-rf.png": "-rf.png",
    "~.png": "~.png",
    "*.png": "*.png",
    "name:stream.png": "name:stream.png",
    "\u202egnp.png": "\u202egnp.png",
    "folder.png/inner.png": "folder.png/inner.png",
    "link.png": "link.png",
    # One name where Unicode or case do not count.
    "\u00fc.png": "\u00fc-62a980fa.png",
    "u\u0308.png": "u\u0308-83b25343.png",
    "A.png": "A-28e6ae4e.png",
    "a.png": "a-7f071235.png",
    # Told by their extension, which these lack, or hidden.
    "end.png.": None,
    "end.png ": None,
    "end": None,
}
"""Names of images in a folder, and of the outputs; None for what is left out."""

NO_IMAGES = {
    "\\xff.png": "its name is not valid UTF-8: rename it",
    "dangling.png": "is a link that leads nowhere",
    "pipe.png": "is a named pipe, not a regular file",
}
"""What is there beside them, and why it fails."""

IN_ROWS = {
    "../../x.png": "rows/00000000",
    "/etc/passwd": "rows/00000001",
    "a/../b.png": "rows/00000002",
    "..": "rows/00000003",
    "": "rows/00000004",
    None: "rows/00000005",
    "x\0y.png": "rows/00000006",
    "folder/": "rows/00000007",
    "./x.png": "rows/00000008",
    "http://host/x.png": "rows/00000009",
    "C:\\x.png": "C:\\x",
    "..\\x.png": "..\\x",
    "CON": "CON",
    "end.png.": "end.png.",
    "end.png ": "end.png ",
    "line\nbreak.png": "line\nbreak",
    ".hidden.png": ".hidden",
    "images": "images",
    "a/" * 100 + "x.png": "a/" * 100 + "x",
    "n" * 300 + ".png": "8dcbf4459d07ea480bab0bb59ebfa3a877eff92206761963a158a06886263e8e",
}
"""Names that rows give themselves, and the outputs without their extension."""


def checked_upscale(folder: Path, expected: int) -> None:
    before = snapshot(folder, (folder / "out",))
    code = upscale(str(folder / "in"), str(folder / "out"), "--sink", "files", "--budget", "10%")
    assert code == expected
    assert snapshot(folder, (folder / "out",)) == before
    store = open_store(str(folder / "out"))
    assert not verify_store(store, list_generations(store)).problems


def assert_files(output: Path, names: Sequence[str]) -> None:
    """There are these images and no others."""
    there = [str(path.relative_to(output / "images")) for path in (output / "images").rglob("*") if path.is_file()]
    assert sorted(there) == sorted(names)


def test_names_in_folders(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in IN_FOLDERS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name != "link.png":
            (folder / name).write_bytes(DATA)
    (tmp_path / "outside.png").write_bytes(DATA)
    (folder / "link.png").symlink_to("../outside.png")
    (folder / "dangling.png").symlink_to("nowhere")
    (folder / "ring").symlink_to(".")
    os.mkfifo(folder / "pipe.png")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")).write_bytes(DATA)
    checked_upscale(tmp_path, exit_codes.FAILED_IMAGES)
    rows = rows_of(tmp_path / "out")
    outputs = {name: output for name, output in IN_FOLDERS.items() if output is not None}
    assert {name: row["image"]["path"] for name, row in rows.items() if row["status"] == "ok"} == {
        name: f"images/{output}" for name, output in outputs.items()
    }
    assert {name: row["error"] for name, row in rows.items() if row["status"] == "failed"} == NO_IMAGES
    assert_files(tmp_path / "out", list(outputs.values()))


@pytest.mark.parametrize("column", ["path", "file_name"])
def test_names_in_rows(tmp_path: Path, column: str) -> None:
    (tmp_path / "in").mkdir()
    table = pa.table({"image": pa.array([DATA] * len(IN_ROWS), pa.binary()), column: pa.array(list(IN_ROWS))})
    pq.write_table(table, tmp_path / "in" / "rows.parquet")
    checked_upscale(tmp_path, 0)
    rows = open_dataset(str(tmp_path / "out")).to_table().to_pylist()
    assert len(rows) == len(IN_ROWS)
    assert_files(tmp_path / "out", [f"{output}.png" for output in IN_ROWS.values()])
