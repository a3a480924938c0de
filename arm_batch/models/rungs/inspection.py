"""What a model of the user's is and does, found out by running it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from arm_batch.core.arrays import Singles
from arm_batch.core.tiling.interpolation import bicubic
from arm_batch.core.tiling.limits import MAX_HALO
from arm_batch.errors import LadderError
from arm_batch.models.rungs.files import ModelSource
from arm_batch.models.rungs.fit import fitting_halo, fitting_tile
from arm_batch.models.rungs.onnx_model import OnnxModel
from arm_batch.models.rungs.protocol import Model
from arm_batch.models.runtimes.protocol import Forward

SCALES = range(2, 9)

LEVEL = 1 / 255

_TRIAL = 48
"""Side of the first picture that a model sees, px, unless it asks for a larger one."""

_PLACES = ((0, 0), (3, -5))
"""Around the middle, where a pixel is changed: models that cut windows do not see equally far everywhere."""

_AS_TOLD = 0.1
"""Mean distance from interpolation, of white, up to which a model is taken to upscale what it was shown."""


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What is known of a model.

    Attributes:
        source: it, with `peak` found out.
        architecture: see `Declared`.
        licence: see `Declared`.
        scale: upscaling factor.
        channels: 1 or 3.
        multiple: see `Declared`.
        minimum: see `Declared`.
        fixed: see `Declared`.
        half: see `Declared`.
        reach: how far a changed pixel is seen at half a grey level, LR px.
        tile: side of the tiles that suit it, LR px.
        halo: beside such a tile, LR px.
        flops: of one window of them.
        seconds: for one such window on one core, once.
    """

    source: ModelSource
    architecture: str
    licence: str
    scale: int
    channels: int
    multiple: int
    minimum: int
    fixed: int | None
    half: bool
    reach: int
    tile: int
    halo: int
    flops: int
    seconds: float

    def halo_of(self, tile: int) -> int:
        """The halo that tiles of another side need, LR px; `LadderError` where none fits."""
        return fitting_halo(tile, self.reach, self.multiple, self.minimum, self.fixed)

    @property
    def window(self) -> int:
        """Side of what `flops` and `seconds` are for, LR px."""
        return self.tile + 2 * self.halo


def inspect_model(source: ModelSource, *, tile: int | None = None) -> ModelFacts:
    """Run a model on small pictures and tell what it is.

    Args:
        source: the model.
        tile: side of the tiles that it is to run on, LR px; None for those that suit it.

    Raises:
        LadderError: it cannot be a rung; one line that names the file.
        UsageError: a library is missing.
    """
    told = source.model.declared()
    side = told.fixed or _rounded(max(_TRIAL, told.minimum), told.multiple)
    model, scale = _settled(source.model, side)
    if told.scale not in (None, scale):
        raise LadderError(f"{_name(source)}: its weights are for x{told.scale}, but it enlarges x{scale}")
    forward = model.open("cpu", 1)
    reach = _reach(forward, side, told.multiple, told.fixed, scale, _name(source))
    tile = tile or fitting_tile(reach, told.fixed)
    halo = fitting_halo(tile, reach, told.multiple, told.minimum, told.fixed)
    if halo > MAX_HALO:
        raise LadderError(f"{_name(source)}: needs {halo} px around a tile, more than {MAX_HALO}")
    window = tile + 2 * halo
    flops, picture = model.flops(window), trial_picture(window)
    started = time.perf_counter()
    _run(forward, picture)
    seconds = time.perf_counter() - started
    return ModelFacts(
        source=ModelSource(source.name, model, source.sha256),
        architecture=told.architecture,
        licence=told.licence,
        scale=scale,
        channels=told.channels,
        multiple=told.multiple,
        minimum=told.minimum,
        fixed=told.fixed,
        half=told.half,
        reach=reach,
        tile=tile,
        halo=halo,
        flops=flops,
        seconds=seconds,
    )


def trial_picture(side: int) -> Singles:
    """A picture with fine and coarse detail, edges and flat parts: float32 ``(1, side, side, 3)`` in [0, 1]."""
    rng = np.random.default_rng(0)
    levels = np.full((side, side, 3), 0.5)
    for size in (4, 8, 16, side):
        coarse = rng.normal(0, 0.25 / np.log2(size), (-(-side // size) + 1, -(-side // size) + 1, 3))
        levels += coarse.repeat(size, 0).repeat(size, 1)[:side, :side]
    levels[: side // 2, : side // 4] = rng.uniform(0.2, 0.8, 3)
    return np.asarray(np.clip(levels, 0.02, 0.98)[None], np.float32)


def _settled(model: Model, side: int) -> tuple[Model, int]:
    """A model with its range of values, and its scale."""
    if not isinstance(model, OnnxModel):
        return model, _scale_of(model, side)
    # In this order: nets that go on linearly beyond their range give the right thing with the wrong one, too.
    for peak in (1, 255):
        candidate = model.with_peak(peak)
        scale, apart = _trial(candidate, side)
        if apart <= _AS_TOLD:
            return candidate, scale
    raise LadderError(
        f"{model.name}: what it gives does not resemble what it was shown, neither with white as 1 nor as 255"
    )


def _scale_of(model: Model, side: int) -> int:
    return _trial(model, side)[0]


def _trial(model: Model, side: int) -> tuple[int, float]:
    """Scale, and the mean distance from interpolation."""
    forward, picture, name = model.open("cpu", 1), trial_picture(side), model.name
    try:
        outputs, again = _run(forward, picture), _run(forward, picture)
    except LadderError:
        raise
    except Exception as error:
        told = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise LadderError(f"{name}: fails on a picture of {side}x{side} px ({told})") from error
    height, width = outputs.shape[1:3]
    scale = height // side
    if outputs.shape != (1, side * scale, side * scale, 3) or scale not in SCALES:
        raise LadderError(
            f"{name}: makes {width}x{height} px of {side}x{side}; it has to enlarge {SCALES[0]} to {SCALES[-1]} "
            "times"
        )
    if not np.isfinite(outputs).all():
        raise LadderError(f"{name}: gives values that are not finite")
    if np.abs(outputs - again).max() > LEVEL / 10:
        raise LadderError(f"{name}: gives something else each time: models that draw random numbers are no rungs")
    enlarged = bicubic(np.rint(255 * picture).astype(np.uint8), scale) / np.float32(255)
    return scale, float(np.abs(outputs - enlarged).mean())


def _reach(forward: Forward, side: int, multiple: int, fixed: int | None, scale: int, name: str) -> int:
    """How far from a pixel that is changed from black to white the output changes by half a level, LR px."""
    while True:
        found = _reach_in(forward, trial_picture(side), scale)
        margin = side // 2 - max(abs(step) for place in _PLACES for step in place) - 1
        if found < margin or fixed is not None:
            return min(found, margin)
        if side > 2 * MAX_HALO:
            raise LadderError(f"{name}: a pixel is seen more than {found} px away: too far for tiles")
        side = _rounded(2 * side, multiple)


def _reach_in(forward: Forward, picture: Singles, scale: int) -> int:
    middle = picture.shape[1] // 2
    before = np.clip(_run(forward, picture), 0, 1)
    farthest = 0
    for down, across in _PLACES:
        row, column = middle + down, middle + across
        changed = picture.copy()
        changed[0, row, column] = np.where(picture[0, row, column] < 0.5, 1, 0)
        apart = np.abs(np.clip(_run(forward, changed), 0, 1) - before)[0].max(axis=2) > LEVEL / 2
        rows, columns = np.nonzero(apart)
        far = np.maximum(np.abs(rows // scale - row), np.abs(columns // scale - column))
        farthest = max(farthest, int(far.max(initial=0)))
    return farthest


def _run(forward: Forward, picture: Singles) -> Singles:
    with torch.inference_mode():
        return np.asarray(forward(torch.from_numpy(picture), None).numpy(), np.float32)


def _rounded(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple


def _name(source: ModelSource) -> str:
    return source.model.name
