"""A log-linear model of a non-negative mean: ``exp(w0 + w1 log f1 + w2 log f2 + ...)``.

Fitted by quasi-likelihood (Wedderburn, "Quasi-likelihood functions, generalized linear models, and the
Gauss-Newton method", Biometrika 1974) with a variance that grows as the mean to the power 1.5: between counts
(1), where the tiles with most error decide everything, and constant relative error (2), where the flat ones do.
"""

from __future__ import annotations

import numpy as np

from arm_batch.core.arrays import Floats, Singles

OFFSET = 0.01
"""Added to features before the logarithm: squared grey levels far below what rounding to 8 bits leaves."""

_ROUNDS = 30
_DAMPING = 0.5
_LARGEST_STEP = 3.0
_LOG_RANGE = (-8.0, 12.0)
_SMALLEST_START = 0.02


def fit_log_linear(features: Singles, target: Floats) -> Floats:
    """Weights, constant first, of the model of `target` given `features`.

    Args:
        features: not negative, ``(n, k)``.
        target: ``(n,)``; single values may be negative, their mean should not be.

    Returns:
        ``(k + 1,)``. Where features say the same, the smallest of the equally good weights.
    """
    design = _design(features)
    weights = np.linalg.lstsq(design, np.log(np.maximum(target, _SMALLEST_START)), rcond=None)[0]
    for _ in range(_ROUNDS):
        log_mean = np.clip(design @ weights, *_LOG_RANGE)
        mean = np.exp(log_mean)
        step = np.clip((target - mean) / mean, -_LARGEST_STEP, _LARGEST_STEP)
        root = mean**0.25
        better = np.linalg.lstsq(design * root[:, None], (log_mean + step) * root, rcond=None)[0]
        weights = weights + _DAMPING * (better - weights)
    return np.asarray(weights, np.float64)


def predict_log_linear(weights: Floats, features: Singles) -> Floats:
    """The modelled mean for each row of `features`, ``(n, k)``; ``(n,)``, positive."""
    return np.asarray(np.exp(np.clip(_design(features) @ weights, *_LOG_RANGE)), np.float64)


def _design(features: Singles) -> Floats:
    logs = np.log(features.astype(np.float64) + OFFSET)
    return np.hstack([np.ones((len(logs), 1)), logs])
