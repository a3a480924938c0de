"""Does every image of a folder come out as what it shows?

    python benchmarks/suite.py FOLDER [--out DIR] [--budget 20%] [--all]

Takes the folder through the main job, in process and with files beside the rows, and compares each output,
averaged to the size of its input, with what Pillow and OpenCV make of the input. Public suites are made for it:
Pillow's ``Tests/images`` (in its source distribution, with pngsuite and bmpsuite), those of libtiff or libvips.

Prints a line for each image that is not right, and counts. Exit code 1 where one differs from both, or fails
although another reads it. Such lines are to be looked at: suites hold much that is broken on purpose, and that
some readers fill with what they like.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps

from arm_batch import open_dataset, pipeline
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.arrays import Flags, Singles
from arm_batch.core.progress import Progress
from arm_batch.images import decode
from arm_batch.spec import DEFAULT_LADDER, JobSpec, PlanSpec

SCALE = 4

WITHIN = 6.0
"""Levels of 8 bits, in the mean: what lossy formats and ways of rounding differ by."""

BLOCK = 8
"""Px: of lines, dots and noise, which interpolation cannot keep pixel by pixel, means over blocks are compared."""

MOST_PIXELS = 1 << 26
"""Larger images are not compared."""


VERDICTS = {
    "right": "read, and as at least one other reader shows it",
    "alone": "read; no other reader reads it",
    "differs": "read, and otherwise than all other readers show it",
    "failed": "a failed row; no other reader reads it",
    "refused": "a failed row, though another reader reads it",
}
WRONG = ("differs", "refused")


@dataclass(frozen=True)
class Shown:
    """What a reader makes of a file: RGB in levels of 8 bits ``(h, w, 3)``; and what is seen ``(h, w)``."""

    rgb: Singles
    seen: Flags


@dataclass(frozen=True)
class Outcome:
    """Of one file: a key of `VERDICTS`, and what there is to say of it."""

    path: str
    verdict: str
    told: str


def by_pillow(path: Path) -> Shown | None:
    """The first frame, upright; None where it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                if image.width * image.height > MOST_PIXELS:
                    return None
                upright = ImageOps.exif_transpose(image)
                if upright.mode.startswith("I;16"):
                    deep = np.asarray(upright).astype(np.float32) / 257
                    return Shown(np.repeat(deep[..., None], 3, axis=2), np.ones(deep.shape, np.bool_))
                rgba = np.asarray(upright.convert("RGBA"))
    except Exception:
        # A reader of broken files may trip over anything.
        return None
    return Shown(rgba[..., :3].astype(np.float32), rgba[..., 3] > 0)


def by_opencv(path: Path) -> Shown | None:
    """The first frame, upright; None where it cannot be read."""
    try:
        found = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None
    return None if found is None else Shown(found.astype(np.float32), np.ones(found.shape[:2], np.bool_))


READERS: dict[str, Callable[[Path], Shown | None]] = {"Pillow": by_pillow, "OpenCV": by_opencv}


def outcomes(folder: Path, output: Path, budget: str) -> Iterator[Outcome]:
    """Take a folder through the main job and compare what comes out."""
    plan = PlanSpec(input=str(folder), ladder=DEFAULT_LADDER, scale=SCALE, executor="inline")
    spec = JobSpec(plan=plan, output=str(output), budget=parse_budget(budget), sink="files")
    pipeline.upscale(spec, no_progress)
    for row in sorted(open_dataset(str(output)).to_table().to_pylist(), key=lambda row: str(row["path"])):
        yield outcome(folder, output, row)


def outcome(folder: Path, output: Path, row: dict[str, Any]) -> Outcome:
    """What is to be said of a row."""
    path = folder / row["path"]
    if row["status"] == "failed":
        readers = [] if is_huge(path) else [name for name, read in READERS.items() if read(path) is not None]
        who = f"; {' and '.join(readers)} read it" if readers else ""
        return Outcome(row["path"], "refused" if readers else "failed", f"{row['error']}{who}")
    if row["width"] * row["height"] > MOST_PIXELS * SCALE**2:
        return Outcome(row["path"], "alone", "too large to be compared")
    notes = f" [{'; '.join(row['notes'])}]" if row["notes"] else ""
    ours = averaged((output / row["image"]["path"]).read_bytes(), row["height"] // SCALE, row["width"] // SCALE)
    found = {name: read(path) for name, read in READERS.items()}
    distances = {name: distance(ours, shown) for name, shown in found.items() if shown is not None}
    if not distances:
        return Outcome(row["path"], "alone", notes)
    said = ", ".join(f"{name} {told(far)}" for name, far in distances.items())
    return Outcome(row["path"], "right" if min(distances.values()) <= WITHIN else "differs", said + notes)


def is_huge(path: Path) -> bool:
    """Whether a file says that it is too large to be given to other readers."""
    try:
        with Image.open(path) as image:
            return image.width * image.height > MOST_PIXELS
    except Exception:
        return False


def averaged(data: bytes, height: int, width: int) -> Singles:
    """An output as RGB in levels of 8 bits, at the size of its input."""
    picture = decode(data)
    levels = picture.pixels.astype(np.float32) / (257 if picture.pixels.dtype == np.uint16 else 1)
    small = cv2.resize(levels, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, -1)
    return np.asarray(np.repeat(small, 3, axis=2) if small.shape[2] == 1 else small, np.float32)


def distance(ours: Singles, shown: Shown) -> float:
    """Mean difference in levels of 8 bits where something is seen; infinite for another size.

    Pixel by pixel, or of means over blocks if these are nearer.
    """
    if ours.shape != shown.rgb.shape:
        return float("inf")
    difference = np.where(shown.seen[..., None], ours - shown.rgb, 0)
    share = float(shown.seen.mean())
    if not share:
        return 0.0
    height, width = (max(1, side // BLOCK) for side in shown.seen.shape)
    blocks = cv2.resize(difference, (width, height), interpolation=cv2.INTER_AREA)
    return min(float(np.abs(difference).mean()), float(np.abs(blocks).mean())) / share


def no_progress(progress: Progress) -> None:
    """Tells nothing."""
    del progress


def told(distance: float) -> str:
    """A distance in words."""
    return "has another size" if np.isinf(distance) else f"{distance:.1f}"


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, help="of the job; by default a folder that is removed afterwards")
    parser.add_argument("--budget", default="20%")
    parser.add_argument("--all", action="store_true", help="a line for each image, also where it is right")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        for found in outcomes(arguments.folder, arguments.out or Path(scratch) / "out", arguments.budget):
            counts[found.verdict] += 1
            if arguments.all or found.verdict != "right":
                print(f"{found.verdict:8} {found.path}: {found.told}")
    for verdict, meaning in VERDICTS.items():
        print(f"{counts[verdict]:6,} {verdict:8} {meaning}")
    return 1 if any(counts[verdict] for verdict in WRONG) else 0


if __name__ == "__main__":
    sys.exit(main())
