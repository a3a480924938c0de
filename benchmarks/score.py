"""What does scoring cost beside decoding, and beside the smallest subnet?

    python benchmarks/score.py

Everything is measured side by side in this one run on one core; quote the ratios. The image is the photograph
of an astronaut that scikit-image ships, six times side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from importlib import resources

import cv2
import numpy as np

from arm_batch.core.tiling.scores import Score, score_tiles
from arm_batch.images import decode
from arm_batch.models.inference import Upscaler
from arm_batch.models.ladder_files import load_ladder

ROUNDS = 15
SMALLEST_TILES = 256


def main() -> None:
    """Print nanoseconds per LR pixel and ratios."""
    cv2.setNumThreads(1)
    files = load_ladder("fsrcnn-x4")
    ladder = files.ladder
    photograph = decode((resources.files("skimage.data") / "astronaut.png").read_bytes()).pixels
    image = np.tile(photograph, (2, 3, 1))
    encoded = {
        kind: cv2.imencode(kind, image[..., ::-1], options)[1].tobytes()
        for kind, options in ((".jpg", [cv2.IMWRITE_JPEG_QUALITY, 95]), (".png", []))
    }
    pixels = image.shape[0] * image.shape[1]
    work: dict[str, Callable[[], object]] = {
        f"decode {kind}": partial(decode, data) for kind, data in encoded.items()
    }
    scores = {name: [Score(name)] for name in ("laplacian", "octave")}
    scores["gain,level"] = list(ladder.lut.scores)
    for name, wanted in scores.items():
        work[name] = partial(score_tiles, wanted, image, ladder.grid)
    upscaler = Upscaler(files.nets, ladder.grid, ladder.scale, "cpu")
    windows = ladder.grid.windows(image).take(np.arange(SMALLEST_TILES))
    work["network"] = lambda: upscaler.run(1, [windows])
    spent = {name: seconds / pixels for name, seconds in best_of(work).items()}
    smallest = spent.pop("network") * pixels / (SMALLEST_TILES * ladder.grid.tile**2)
    print(f"{'':12} {'ns/px':>8} {'of JPEG':>8} {'of PNG':>8} {'of ' + ladder.subnets[1].name:>14}")
    for name, seconds in spent.items():
        shares = (seconds / spent["decode .jpg"], seconds / spent["decode .png"], seconds / smallest)
        print(f"{name:12} {seconds * 1e9:8.2f} {shares[0]:8.1%} {shares[1]:8.1%} {shares[2]:14.2%}")


def best_of(work: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The least seconds of each, taken in turns so that what else the machine does falls on all alike."""
    best = dict.fromkeys(work, float("inf"))
    for _ in range(ROUNDS):
        for name, call in work.items():
            started = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


if __name__ == "__main__":
    main()
