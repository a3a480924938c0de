"""Upscale the photographs that scikit-image ships, and draw a before/after picture.

python jobs/demo.py OUTPUT_FOLDER
"""

from __future__ import annotations

import shutil
import sys
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from arm_batch import pipeline
from arm_batch.cli import exit_codes
from arm_batch.cli.summary import describe
from arm_batch.core.allocation.budget import parse_budget
from arm_batch.core.tiling.interpolation import bicubic
from arm_batch.spec import JobSpec, PlanSpec

PHOTOGRAPHS = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "rocket.jpg")
"""All CC0 or in the public domain."""

BUDGET = "40%"
SCALE = 4

CROPS = (("chelsea.png", 120, 100), ("astronaut.png", 170, 60), ("coffee.png", 300, 150))
"""Image, left and top of the square that the picture shows, LR px."""

CROP_PX = 72


def main(folder: Path) -> None:
    """Run the job on a fresh local Ray and say where everything is."""
    if find_spec("skimage") is None:
        print("jobs/demo.py needs scikit-image's photographs: pip install 'arm-batch[demo]'", file=sys.stderr)
        sys.exit(exit_codes.USAGE)
    if folder.exists():
        shutil.rmtree(folder)
    photographs = folder / "input"
    photographs.mkdir(parents=True)
    for name in PHOTOGRAPHS:
        source = resources.files("skimage.data") / name
        (photographs / name).write_bytes(source.read_bytes())
    results = folder / "results"
    asked = PlanSpec(input=str(photographs), ladder="fsrcnn-x4", scale=SCALE, executor="ray")
    spec = JobSpec(plan=asked, output=str(results), budget=parse_budget(BUDGET), sink="files")
    summary = pipeline.upscale(spec, progress=lambda *_: None)
    picture = folder / "before_after.png"
    draw_comparison(photographs, results / "images", picture)
    print("\n".join(describe(summary)))
    print(f"images     {results / 'images'}")
    print(f"record     {results / 'run.json'}, rows in {results / 'data'}")
    print(f"picture    {picture} (as delivered | bicubic | arm_batch)")
    if summary.failed:
        sys.exit(exit_codes.FAILED_IMAGES)


def draw_comparison(before: Path, after: Path, path: Path) -> None:
    """One row per crop: the pixels as delivered, bicubic, and ours."""
    side, gap, header = CROP_PX * SCALE, 8, 24
    size = (3 * side + 2 * gap, header + len(CROPS) * (side + gap) - gap)
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    for column, title in enumerate(("as delivered", "bicubic", "arm_batch")):
        draw.text((column * (side + gap) + 4, 6), title, fill="black")
    for row, (name, left, top) in enumerate(CROPS):
        box = (left, top, left + CROP_PX, top + CROP_PX)
        pixels = np.asarray(Image.open(before / name).convert("RGB").crop(box))
        upscaled = Image.open((after / name).with_suffix(".png")).convert("RGB")
        left, top, right, bottom = (SCALE * edge for edge in box)
        panels = (
            Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST),
            Image.fromarray(bicubic(pixels[None], SCALE)[0]),
            upscaled.crop((left, top, right, bottom)),
        )
        for column, panel in enumerate(panels):
            canvas.paste(panel, (column * (side + gap), header + row * (side + gap)))
    canvas.save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
