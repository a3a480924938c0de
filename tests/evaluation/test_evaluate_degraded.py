"""What subnets gain on inputs with flaws."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from arm_batch.core.prediction.metrics import luma, psnr
from arm_batch.errors import InputError
from arm_batch.evaluation.evaluate import upscale_image
from arm_batch.evaluation.evaluate_degraded import KINDS, WORSE_DB, evaluate_degraded
from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.tensors import bicubic
from arm_batch.training.data import downscale
from arm_batch.training.degradation import compress


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    # Sides that share nothing with LR pixels.
    coarse = rng.integers(30, 225, (9, 11, 3), np.uint8)
    return cv2.resize(coarse, (80, 64), interpolation=cv2.INTER_NEAREST)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for folder in ("HR", "LRx4"):
        (tmp_path / folder).mkdir()
    for number in range(3):
        hr = picture(number)
        cv2.imwrite(str(tmp_path / "HR" / f"{number}.png"), hr[..., ::-1])
        # Black: what lies there is not what is measured.
        cv2.imwrite(str(tmp_path / "LRx4" / f"{number}.png"), np.zeros((16, 20, 3), np.uint8))
    return tmp_path


@pytest.fixture
def supernet() -> Supernet:
    torch.manual_seed(0)
    return Supernet(get_backbone("plain"), 4)


def y_db(sr: np.ndarray, hr: np.ndarray) -> float:
    return psnr(luma(sr), luma(hr), 4)


def test_gains_are_over_the_interpolation_of_the_same_input(data: Path, supernet: Supernet) -> None:
    rows = evaluate_degraded([(supernet, (16, 32))], data, ["clean", "jpeg50"])
    assert [(row.kind, row.name, row.images) for row in rows] == [
        (kind, name, 3) for kind in ("clean", "jpeg50") for name in ("plain-16", "plain-32")
    ]
    inputs = {"clean": lambda hr: downscale(hr, 4), "jpeg50": lambda hr: compress(downscale(hr, 4), 50, True)}
    for row in rows:
        network = supernet.subnet(int(row.name.removeprefix("plain-")))
        base, gains = [], []
        for number in range(3):
            hr = picture(number)
            lr = inputs[row.kind](hr)
            base.append(y_db(upscale_image(lr, bicubic(4)), hr))
            gains.append(y_db(upscale_image(lr, network), hr) - base[-1])
        assert row.interpolated_y_db == pytest.approx(np.mean(base))
        assert row.gain_y_db == pytest.approx(np.mean(gains))
        assert row.worse == pytest.approx(np.mean([gain < -WORSE_DB for gain in gains]))


def test_every_kind_is_an_input_of_its_own_and_none_is_better_than_a_clean_one(
    data: Path, supernet: Supernet
) -> None:
    rows = evaluate_degraded([(supernet, (16,))], data, list(KINDS))
    reached = {row.kind: row.interpolated_y_db for row in rows}
    assert len(set(reached.values())) == len(KINDS)
    assert reached["jpeg90"] > reached["jpeg75"] > reached["jpeg50"]
    assert max(reached["jpeg90"], reached["noise5"]) < reached["clean"]


def test_an_image_has_the_same_noise_whatever_else_is_measured(data: Path, supernet: Supernet) -> None:
    alone = evaluate_degraded([(supernet, (16,))], data, ["noise5"])
    assert alone == evaluate_degraded([(supernet, (16,))], data, ["clean", "noise5"])[1:]
    assert alone != evaluate_degraded([(supernet, (16,))], data, ["noise5"], limit=2)


def test_images_that_are_too_small_are_named(tmp_path: Path, supernet: Supernet) -> None:
    for folder, side in (("HR", 12), ("LRx4", 3)):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "dot.png"), np.zeros((side, side, 3), np.uint8))
    with pytest.raises(InputError, match=r"dot\.png"):
        evaluate_degraded([(supernet, (16,))], tmp_path, ["clean"])
