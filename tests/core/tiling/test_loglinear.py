"""The log-linear model."""

import numpy as np
import pytest

from arm_batch.core.tiling.loglinear import OFFSET, fit_log_linear, predict_log_linear


def features(count: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(2, 1.5, (count, columns))).astype(np.float32)


def test_exact_data_give_the_weights_back() -> None:
    x, weights = features(500, 3), np.array([0.5, 0.7, -0.3, 0.2])
    target = predict_log_linear(weights, x)
    np.testing.assert_allclose(fit_log_linear(x, target), weights, atol=1e-5)


def test_noise_averages_out_even_where_targets_turn_negative() -> None:
    x, weights = features(20_000, 2), np.array([0.2, 0.8, -0.2])
    mean = predict_log_linear(weights, x)
    noisy = mean + np.random.default_rng(1).normal(0, 1.5, len(mean)) * mean**0.75
    assert (noisy < 0).mean() > 0.05
    np.testing.assert_allclose(fit_log_linear(x, noisy), weights, atol=0.05)


def test_features_that_say_the_same_share_the_weight() -> None:
    x = np.repeat(features(300, 1), 2, axis=1)
    weights = fit_log_linear(x, predict_log_linear(np.array([0.0, 1.0, 0.0]), x))
    np.testing.assert_allclose(weights, [0, 0.5, 0.5], atol=1e-6)


def test_flat_tiles_fit_too() -> None:
    weights = fit_log_linear(np.zeros((50, 2), np.float32), np.zeros(50))
    assert np.isfinite(weights).all()
    assert predict_log_linear(weights, np.zeros((1, 2), np.float32))[0] < 0.1


def test_prediction_is_the_power_law() -> None:
    x = np.array([[3.0, 8.0]], np.float32)
    expected = np.exp(1.5) * (3 + OFFSET) ** 2 / np.sqrt(8 + OFFSET)
    assert predict_log_linear(np.array([1.5, 2, -0.5]), x)[0] == pytest.approx(expected)
