"""Training crops with more outlines than a few photographs have: leaves cut from other crops fall on them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from arm_batch.training.augment_colour import per_crop

MOST_LEAVES = 12
SMALLEST_RADIUS_PX = 4.0
SOFTEST_EDGE_PX = 4.0
RING_SHARE = 0.25
RING_HALF_WIDTH_PX = (0.5, 4.0)
FLAT_SHARE = 0.5
MOST_SIDES = 6


def drop_leaves(crops: Tensor, rng: np.random.Generator, share: float) -> Tensor:
    """Lay some leaves over the first crops of a batch, each upon those before it.

    A leaf is an ellipse, a stripe or a convex polygon, filled or a ring, with an edge one to a few pixels soft; it
    is of one colour or a piece of another crop. Radii have a density of r^-3: all sizes cover as much. This is the
    dead leaves model (Lee, Mumford & Huang, "Occlusion models for natural images", IJCV 2001), whose images
    alone can train restoration networks (Achddou, Gousseau & Ladjal, "Fully synthetic training for image
    restoration tasks", CVIU 2023); here the photograph stays visible between the leaves.

    Args:
        crops: square, ``(n, 3, s, s)`` in [0, 1], in no order.
        rng: what is drawn depends on it, on n, s and `share` alone.
        share: of the crops that get leaves, in [0, 1].
    """
    # Most leaves first: the crops that get another one are then always the first.
    dead_leaves = np.sort(rng.integers(1, MOST_LEAVES + 1, round(len(crops) * share)))[::-1]
    changed = crops.clone()
    for number in range(1, MOST_LEAVES + 1):
        below = changed[: int((dead_leaves >= number).sum())]
        below += _opacity(below, rng) * (_fill(crops, len(below), rng) - below)
    return changed


def _fill(crops: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """What the next leaf of `count` crops is cut from: another crop, or the colour of one of its pixels."""
    height, width = crops.shape[2:]
    others = crops[torch.from_numpy(rng.permutation(len(crops))[:count]).to(crops.device)]
    rows, columns = (torch.from_numpy(rng.integers(side, size=count)) for side in (height, width))
    colours = others[torch.arange(count), :, rows, columns][:, :, None, None]
    return torch.where(per_crop(rng.random(count) < FLAT_SHARE, crops), colours, others)


def _opacity(crops: Tensor, rng: np.random.Generator) -> Tensor:
    """One leaf for each crop, ``(n, 1, s, s)``: 1 within, 0 outside; all are of the same kind."""
    count, side = len(crops), crops.shape[-1]
    radius = np.minimum(SMALLEST_RADIUS_PX / np.sqrt(1 - rng.random(count)), side)
    row, column = (per_crop(rng.uniform(0, side, count), crops) for _ in range(2))
    middles = torch.arange(side, device=crops.device, dtype=crops.dtype) + 0.5
    down, right = middles[:, None] - row, middles - column
    turn = rng.uniform(0, 2 * math.pi, count)
    if rng.random() < 0.5:
        outside = _outside_ellipse(down, right, radius, rng.uniform(0.3, 1, count), turn)
    else:
        outside = _outside_polygon(down, right, radius, turn, rng)
    is_ring = per_crop(rng.random(count) < RING_SHARE, crops)
    ring = outside.abs() - per_crop(rng.uniform(*RING_HALF_WIDTH_PX, count), crops)
    edge = per_crop(np.exp(rng.uniform(0, math.log(SOFTEST_EDGE_PX), count)), crops)
    return (0.5 - torch.where(is_ring, ring, outside) / edge).clamp(0, 1)


def _outside_ellipse(
    down: Tensor, right: Tensor, radius: np.ndarray, aspect: np.ndarray, turn: np.ndarray
) -> Tensor:
    """How far each pixel lies outside an ellipse, px, negative within; to first order, so exact at its edge.

    Args:
        down, right: of the ellipse's middle, px, that broadcast to ``(n, 1, s, s)``.
        radius: the longer one, px, ``(n,)``.
        aspect: the shorter one over the longer one.
        turn: where the longer one points, radians.
    """
    cosine, sine = per_crop(np.cos(turn), right), per_crop(np.sin(turn), right)
    squeeze = per_crop(1 / aspect, right)
    along, across = right * cosine + down * sine, (down * cosine - right * sine) * squeeze
    # As large as the radius all along the edge; it grows by `slope` per px.
    size = (along.square() + across.square()).sqrt().clamp_min(1e-3)
    slope = (along.square() + (across * squeeze).square()).sqrt().clamp_min(1e-3) / size
    return (size - per_crop(radius, right)) / slope


def _outside_polygon(
    down: Tensor, right: Tensor, radius: np.ndarray, turn: np.ndarray, rng: np.random.Generator
) -> Tensor:
    """How far each pixel lies outside a convex polygon or stripe, px; its sides lie about `radius` away."""
    sides = int(rng.integers(2, MOST_SIDES + 1))
    # The sides of a stripe are parallel, and nearer: it has no others to bound it.
    jitter, nearer = (0.0, 2) if sides == 2 else (0.3, 1)
    outside = right.new_tensor(-math.inf)
    for number in range(sides):
        bearing = turn + 2 * math.pi / sides * (number + rng.uniform(-jitter, jitter, len(turn)))
        reach = per_crop(radius * rng.uniform(0.4, 1.2, len(turn)) / nearer, right)
        beyond = right * per_crop(np.cos(bearing), right) + down * per_crop(np.sin(bearing), right) - reach
        outside = torch.maximum(outside, beyond)
    return outside
