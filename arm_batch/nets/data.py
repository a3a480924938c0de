"""Training and calibration pairs: clean HR images from JPEGs, their LR versions, random crops."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from arm_batch.errors import InputError, TrainingError

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})

HELD_OUT_EVERY = 5
"""One image in five never enters training: LUTs are built on those."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """One image at both resolutions, uint8 RGB HWC; ``hr`` is exactly ``scale`` times ``lr``."""

    lr: Pixels
    hr: Pixels


def split_images(folder: Path) -> tuple[list[Path], list[Path]]:
    """The images below `folder` as (training, held out), by sorted path: the same split every time."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in EXTENSIONS)
    if not paths:
        raise InputError(f"no images below {folder}")
    if len(paths) < HELD_OUT_EVERY:
        raise InputError(f"{folder}: {len(paths)} images are too few, one in {HELD_OUT_EVERY} is held out")
    held_out = paths[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    return [p for p in paths if p not in set(held_out)], held_out


def load_pair(path: Path, scale: int, reduction: int = 2) -> Pair:
    """Read an image, reduce it by area averaging and make its LR version.

    Halving removes most of the JPEG artefacts, so that the network does not learn to draw them; what is reduced
    further is sharper, as small images are. The LR version is made by `downscale`.
    """
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise InputError(f"{path}: not a readable image")
    height, width = (side // reduction // scale * scale for side in bgr.shape[:2])
    if min(height, width) == 0:
        raise InputError(f"{path}: {bgr.shape[1]}x{bgr.shape[0]} px is too small")
    kept = bgr[: reduction * height, : reduction * width]
    reduced = cv2.resize(kept, (width, height), interpolation=cv2.INTER_AREA)
    hr = np.ascontiguousarray(reduced[..., ::-1], dtype=np.uint8)
    return Pair(downscale(hr, scale), hr)


def downscale(hr: Pixels, scale: int) -> Pixels:
    """Antialiased bicubic reduction of uint8 HWC by an integer factor that divides both sides.

    Equals MATLAB's ``imresize``, with which the LR images of the usual test sets were made: rows first, rounded to
    whole grey levels, then columns; beyond its border the image repeats its last pixel.
    """
    return _downscale_axis(_downscale_axis(hr, scale, 0), scale, 1)


def _downscale_axis(pixels: Pixels, scale: int, axis: int) -> Pixels:
    # The kernel reaches 2 LR px; torch would leave out its part beyond the border and weigh up the rest.
    margin = 2
    pad = [(0, 0)] * 3
    pad[axis] = (margin * scale, margin * scale)
    # In float64: a sum that lies just off one half must not cross it.
    padded = torch.from_numpy(np.pad(pixels, pad, mode="edge")).to(torch.float64)
    size = list(padded.shape[:2])
    size[axis] //= scale
    chw = padded.permute(2, 0, 1)[None]
    reduced = F.interpolate(chw, size=size, mode="bicubic", antialias=True, align_corners=False)[0]
    inner = reduced.narrow(axis + 1, margin, pixels.shape[axis] // scale)
    rounded = inner.add(0.5).floor().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(rounded.permute(1, 2, 0).numpy())


class CropSampler:
    """Random aligned crops with flips and quarter turns, drawn from images held in memory.

    A crop is a function of the generator alone: the trainer seeds one per step, so a resumed run sees what
    an undisturbed one would have seen.

    Attributes:
        left_out: how many images are smaller than one crop, and not used.
    """

    def __init__(self, pairs: list[Pair], lr_size: int, scale: int) -> None:
        self._pairs = [p for p in pairs if min(p.lr.shape[:2]) >= lr_size]
        if not self._pairs:
            raise TrainingError(f"every image is smaller than one crop of {lr_size} LR px")
        self.left_out = len(pairs) - len(self._pairs)
        area = np.array([p.lr.shape[0] * p.lr.shape[1] for p in self._pairs], dtype=np.float64)
        self._weights = area / area.sum()
        self._lr_size = lr_size
        self._scale = scale

    def sample(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`count` crops as float32 RGB in [0, 1]: ``(n, 3, s, s)`` and ``(n, 3, scale*s, scale*s)``."""
        lrs, hrs = [], []
        for index in rng.choice(len(self._pairs), size=count, p=self._weights):
            lr, hr = self._crop(self._pairs[index], rng)
            turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
            lrs.append(_dihedral(lr, turns, mirror))
            hrs.append(_dihedral(hr, turns, mirror))
        return _to_tensor(np.stack(lrs)), _to_tensor(np.stack(hrs))

    def _crop(self, pair: Pair, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        size, scale = self._lr_size, self._scale
        top = int(rng.integers(pair.lr.shape[0] - size + 1))
        left = int(rng.integers(pair.lr.shape[1] - size + 1))
        lr = pair.lr[top : top + size, left : left + size]
        hr = pair.hr[scale * top : scale * (top + size), scale * left : scale * (left + size)]
        return lr, hr


def _dihedral(pixels: Pixels, turns: int, mirror: bool) -> Pixels:
    turned = np.rot90(pixels, turns)
    return turned[:, ::-1] if mirror else turned


def _to_tensor(pixels: Pixels) -> torch.Tensor:
    nchw = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    return nchw.to(torch.float32, memory_format=torch.channels_last).div_(255)
