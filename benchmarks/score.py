"""What does scoring cost beside decoding, and beside the smallest subnet?

    python benchmarks/score.py

Everything is measured side by side in this one run on one core; quote the ratios. The image is the photograph
of an astronaut that scikit-image ships, tiled to 4 megapixels.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import resources

import cv2
import numpy as np

from arm_batch.core.score import Score, score_tiles
from arm_batch.core.tiles import take
from arm_batch.nets.infer import Upscaler
from arm_batch.nets.ladder_files import find_ladder, load_ladder
from arm_batch.store.codecs import decode

REPEATS = 7
SMALLEST_TILES = 256


def main() -> None:
    """Print nanoseconds per LR pixel and ratios."""
    cv2.setNumThreads(1)
    files = load_ladder(find_ladder("fsrcnn-x4"))
    ladder = files.ladder
    photograph = decode((resources.files("skimage.data") / "astronaut.png").read_bytes())
    image = np.tile(photograph, (4, 4, 1))
    encoded = {
        kind: cv2.imencode(kind, image[..., ::-1], options)[1].tobytes()
        for kind, options in ((".jpg", [cv2.IMWRITE_JPEG_QUALITY, 95]), (".png", []))
    }
    pixels = image.shape[0] * image.shape[1]
    spent = {f"decode {kind}": per_pixel(lambda data=data: decode(data), pixels) for kind, data in encoded.items()}
    scores = {name: [Score(name)] for name in ("laplacian", "octave")}
    scores["gain,level"] = list(ladder.lut.scores)
    for name, wanted in scores.items():
        spent[name] = per_pixel(lambda wanted=wanted: score_tiles(wanted, image, ladder.grid), pixels)
    upscaler = Upscaler(files.nets, ladder.grid, ladder.scale, "cpu")
    windows = take(ladder.grid.windows(image), np.arange(SMALLEST_TILES))
    smallest = per_pixel(lambda: upscaler.run(1, [windows]), SMALLEST_TILES * ladder.grid.tile**2)
    print(f"{'':12} {'ns/px':>8} {'of JPEG':>8} {'of PNG':>8} {'of ' + ladder.subnets[1].name:>14}")
    for name, seconds in spent.items():
        shares = (seconds / spent["decode .jpg"], seconds / spent["decode .png"], seconds / smallest)
        print(f"{name:12} {seconds * 1e9:8.2f} {shares[0]:8.1%} {shares[1]:8.1%} {shares[2]:14.2%}")


def per_pixel(work: Callable[[], object], pixels: int) -> float:
    """Seconds per pixel, the best of several."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best / pixels


if __name__ == "__main__":
    main()
