"""Training and calibration pairs: clean HR images from JPEGs, their LR versions, random crops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from arm_batch.core.arrays import Pixels8
from arm_batch.errors import InputError, TrainingError

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})

HELD_OUT_EVERY = 5
"""One image in five never enters training: LUTs are built on those."""


@dataclass(frozen=True)
class Pair:
    """One image at both resolutions, uint8 RGB HWC; ``hr`` is exactly ``scale`` times ``lr``."""

    lr: Pixels8
    hr: Pixels8


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


def downscale(hr: Pixels8, scale: int) -> Pixels8:
    """Antialiased bicubic reduction of uint8 HWC by an integer factor that divides both sides.

    Equals MATLAB's ``imresize``, with which the LR images of the usual test sets were made: rows first, rounded to
    whole grey levels, then columns; beyond its border the image repeats its last pixel.
    """
    levels = torch.from_numpy(hr).to(torch.float64).permute(2, 0, 1)[None]
    reduced = downscale_crops(levels, scale)[0].to(torch.uint8)
    return np.ascontiguousarray(reduced.permute(1, 2, 0).numpy())


def downscale_crops(levels: torch.Tensor, scale: int) -> torch.Tensor:
    """`downscale` for a batch: whole grey levels from 0 to 255 in float64, ``(n, 3, h, w)``.

    In float64 because a sum that lies just off one half must not cross it.
    """
    return _downscale_axis(_downscale_axis(levels, scale, 2), scale, 3)


def _downscale_axis(levels: torch.Tensor, scale: int, axis: int) -> torch.Tensor:
    # The kernel reaches 2 LR px; torch would leave out its part beyond the border and weigh up the rest.
    margin = 2
    pad = (0, 0, margin * scale, margin * scale) if axis == 2 else (margin * scale, margin * scale, 0, 0)
    padded = F.pad(levels, pad, mode="replicate")
    size = list(padded.shape[2:])
    size[axis - 2] //= scale
    reduced = F.interpolate(padded, size=size, mode="bicubic", antialias=True, align_corners=False)
    inner = reduced.narrow(axis, margin, levels.shape[axis] // scale)
    return inner.add(0.5).floor().clamp(0, 255)


Crops = tuple[torch.Tensor, torch.Tensor]
"""A batch of LR crops and one of their HR crops."""

Change = Callable[[torch.Tensor, np.random.Generator], torch.Tensor]
"""What makes other HR crops of a batch: float32 ``(n, 3, s, s)`` in [0, 1], before and after."""

Reduce = Callable[[torch.Tensor, np.random.Generator], Crops]
"""What makes LR crops of HR ones, and may cut these: whole levels from 0 to 255 in float64, before and after."""


class CropSampler:
    """Random aligned crops with flips and quarter turns, drawn from images held in memory or on a GPU.

    An image is drawn in proportion to the root of its area, a crop's place in it evenly.

    A crop is a function of the generator alone: the trainer seeds one per step, so a resumed run sees what
    an undisturbed one would have seen, on whatever device. What is drawn is small and drawn on the CPU; pixels are
    gathered where they lie, all crops of a batch at once.

    Args:
        pairs: the images.
        lr_size: side of an LR crop, px.
        scale: upscaling factor.
        device: where the images are held and the crops come out.

    Attributes:
        skipped: how many images are smaller than one crop, and not used.
    """

    def __init__(self, pairs: list[Pair], lr_size: int, scale: int, device: str = "cpu") -> None:
        kept = [p for p in pairs if min(p.lr.shape[:2]) >= lr_size]
        if not kept:
            raise TrainingError(f"every image is smaller than one crop of {lr_size} LR px")
        self.skipped = len(pairs) - len(kept)
        sides = np.array([p.lr.shape[:2] for p in kept])
        self._corners = sides - lr_size + 1
        # By the root of the area: drawn by area, a few large photographs would be most of what is seen, and those
        # are often soft; drawn evenly, small ones would come again and again.
        root = np.sqrt(np.prod(sides, axis=1, dtype=np.float64))
        self._weights = root / root.sum()
        self._scale = scale
        self._lr = _Gallery([p.lr for p in kept], lr_size, 1, device)
        self._hr = _Gallery([p.hr for p in kept], lr_size, scale, device)

    def sample(
        self, rng: np.random.Generator, count: int, change: Change | None = None, reduce: Reduce | None = None
    ) -> Crops:
        """`count` crops as float32 RGB in [0, 1]: ``(n, 3, s, s)`` and ``(n, 3, scale*s, scale*s)``.

        With `change`, HR crops go through it. With that or `reduce`, each LR crop is made from its HR crop alone,
        as if that were the whole image; by bicubic reduction where `reduce` is left out.
        """
        images = rng.choice(len(self._weights), size=count, p=self._weights)
        corners = rng.integers(self._corners[images])
        turns, mirrored = rng.integers(4, size=count), rng.integers(2, size=count)
        drawn = torch.from_numpy(np.column_stack([images, corners, turns, mirrored]))
        hr = self._hr.crops(drawn)
        if change is None and reduce is None:
            return self._lr.crops(drawn), hr
        changed = hr if change is None else change(hr, rng)
        levels = changed.to(torch.float64).mul_(255).round_()
        made = (downscale_crops(levels, self._scale), levels) if reduce is None else reduce(levels, rng)
        lr, hr = (side.to(torch.float32, memory_format=torch.channels_last).div_(255) for side in made)
        return lr, hr


class _Gallery:
    """Images of one resolution as one long row of pixels, from which crops are gathered by their indices."""

    def __init__(self, images: list[Pixels8], lr_size: int, scale: int, device: str) -> None:
        sizes = [image.shape[0] * image.shape[1] for image in images]
        self._pixels = torch.from_numpy(np.concatenate([image.reshape(-1, 3) for image in images])).to(device)
        self._starts = torch.tensor([0, *np.cumsum(sizes)[:-1].tolist()], device=device)
        self._widths = torch.tensor([image.shape[1] for image in images], device=device)
        side = lr_size * scale
        grid = torch.arange(side * side).reshape(side, side)
        # Which pixel of an upright crop lies where after so many quarter turns and perhaps a mirroring.
        turned = [
            moved.flip(1) if mirror else moved for t in range(4) for moved in [grid.rot90(t)] for mirror in (0, 1)
        ]
        self._places = torch.stack(turned).to(device)
        self._side = side
        self._scale = scale

    def crops(self, drawn: torch.Tensor) -> torch.Tensor:
        """Crops ``(n, 3, s, s)`` in [0, 1].

        Args:
            drawn: ``(n, 5)``: number of the image, first row and column in LR px, quarter turns, and whether it is
                mirrored.
        """
        image, top, left, turns, mirror = drawn.to(self._pixels.device).unbind(1)
        width = self._widths[image]
        corner = self._starts[image] + top * self._scale * width + left * self._scale
        place = self._places[2 * turns + mirror]
        rows, columns = place // self._side, place % self._side
        indices = corner[:, None, None] + rows * width[:, None, None] + columns
        # Gathered as NHWC, which seen as NCHW is channels_last.
        gathered = self._pixels.index_select(0, indices.flatten()).view(*indices.shape, 3)
        return gathered.to(torch.float32).div_(255).permute(0, 3, 1, 2)
