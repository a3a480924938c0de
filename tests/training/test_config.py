"""What defines a training run: its learning rate, and what its past depended on."""

from dataclasses import replace

import pytest

from arm_batch.training.config import WARM_UP_STEPS, TrainConfig, learning_rate, past

CONFIG = TrainConfig(widths=(16, 56), steps=1000, bf16_steps=900)
LATE = replace(CONFIG, decay_steps=300)


def test_the_learning_rate_warms_up_and_falls_along_half_a_cosine() -> None:
    config = CONFIG
    rates = [learning_rate(config, s) for s in range(1001)]
    assert rates[0] == pytest.approx(config.learning_rate / WARM_UP_STEPS)
    assert rates[:WARM_UP_STEPS] == sorted(rates[:WARM_UP_STEPS])
    assert rates[500] == pytest.approx((config.learning_rate + config.final_learning_rate) / 2)
    assert rates[1000] == pytest.approx(config.final_learning_rate)
    assert rates[WARM_UP_STEPS:] == sorted(rates[WARM_UP_STEPS:], reverse=True)


def test_a_late_decay_leaves_the_learning_rate_alone_until_then() -> None:
    rates = [learning_rate(LATE, s) for s in range(1001)]
    assert rates[0] == pytest.approx(CONFIG.learning_rate / WARM_UP_STEPS)
    assert set(rates[WARM_UP_STEPS:701]) == {CONFIG.learning_rate}
    assert rates[850] == pytest.approx((CONFIG.learning_rate + CONFIG.final_learning_rate) / 2)
    assert rates[1000] == pytest.approx(CONFIG.final_learning_rate)
    assert rates[700:] == sorted(rates[700:], reverse=True)


def test_a_decay_longer_than_the_run_is_one_over_all_steps() -> None:
    whole = replace(CONFIG, decay_steps=5000)
    assert [learning_rate(whole, s) for s in range(1001)] == [learning_rate(CONFIG, s) for s in range(1001)]


@pytest.mark.parametrize("step", [0, 300, 700])
def test_as_long_as_the_rate_stays_the_end_may_be_moved(step: int) -> None:
    moved = replace(LATE, steps=1100, decay_steps=400, final_learning_rate=0.0)
    assert past(moved, step) == past(LATE, step)
    assert all(learning_rate(moved, s) == learning_rate(LATE, s) for s in range(step))


@pytest.mark.parametrize(
    ("config", "other", "step"),
    [
        (LATE, replace(LATE, steps=1100), 701),
        (LATE, replace(LATE, decay_steps=400), 650),
        (CONFIG, replace(CONFIG, steps=1100), 1),
        (CONFIG, LATE, 100),
        (LATE, replace(LATE, seed=1), 100),
        (LATE, replace(LATE, bf16_steps=50), 100),
    ],
)
def test_what_steps_have_depended_on_is_settled(config: TrainConfig, other: TrainConfig, step: int) -> None:
    assert past(config, step) != past(other, step)
    assert past(config, step) == past(config, step)


def test_which_later_steps_are_in_float32_may_be_decided_later() -> None:
    assert past(replace(LATE, bf16_steps=100), 100) == past(LATE, 100)
