"""The published protocol, against what the published code gave."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from arm_batch.core.prediction.metrics import psnr
from arm_batch.errors import InputError, LadderError
from arm_batch.evaluation.evaluate import read_pairs
from arm_batch.evaluation.paper import (
    MEAN,
    PatchOutputs,
    evaluate_paper,
    load_subnets,
    policies,
    run_subnets,
)
from arm_batch.evaluation.paper_lut import PaperLut
from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.checkpoint import save_weights
from arm_batch.models.tensors import bicubic

CASES = [
    ("fsrcnn", "Set5"),
    ("fsrcnn", "Set14"),
    pytest.param("carn", "Set5", marks=pytest.mark.slow),
    pytest.param("carn", "Set14", marks=pytest.mark.slow),
]
LUT = {
    "backbone": "fsrcnn",
    "scale": 4,
    "patch": 32,
    "widths": [0, 16],
    "flops_official_per_patch": [0.0, 100.0],
    "edge_bin_centres": [10.0, 30.0],
    "mean_psnr_db": [[40.0, 20.0], [41.0, 23.0]],
}


def lut_file(folder: Path, **change: object) -> Path:
    path = folder / "lut.json"
    path.write_text(json.dumps(LUT | change))
    return path


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(("backbone", "dataset"), CASES)
def test_choices_and_figures_of_every_image(
    reference: Path, validation_data: Path, backbone: str, dataset: str
) -> None:
    lut = PaperLut.from_json_file(reference / f"lut_{backbone}.json")
    subnets = load_subnets(reference / f"arm-{backbone}.pth", lut)
    records = json.loads((reference / f"{backbone}.json").read_text())
    expected = {r["image"]: r for r in records if r["set"] == dataset}
    seen = set()
    for name, pair in read_pairs(validation_data / dataset, lut.scale):
        outputs, record = run_subnets(pair.lr, subnets), expected[name]
        assert (outputs.rows, outputs.columns) == (record["rows"], record["cols"])
        np.testing.assert_allclose(outputs.scores, record["edge_score"], atol=1e-6)
        chosen = policies(lut, outputs.scores)
        assert chosen.keys() == record["psnr_rgb_db"].keys()
        for eta, choice in record["choice"].items():
            assert chosen[f"eta:{eta}x"].tolist() == choice
        for policy, choice in chosen.items():
            sr = outputs.combine(choice)
            got = psnr(sr, pair.hr[: sr.shape[0], : sr.shape[1]], lut.scale)
            assert got == pytest.approx(record["psnr_rgb_db"][policy], abs=1e-3), (name, policy)
        seen.add(name)
    assert seen == expected.keys()


@pytest.mark.parametrize("backbone", ["fsrcnn", "carn"])
@pytest.mark.parametrize("image", ["img_002", "img_003"])
def test_outputs_are_within_one_grey_level(
    reference: Path, validation_data: Path, backbone: str, image: str
) -> None:
    lut = PaperLut.from_json_file(reference / f"lut_{backbone}.json")
    subnets = load_subnets(reference / f"arm-{backbone}.pth", lut)
    lr = next(pair.lr for name, pair in read_pairs(validation_data / "Set5", 4) if name == f"{image}.png")
    outputs = run_subnets(lr, subnets)
    for index, width in enumerate(lut.widths):
        with np.load(reference / f"{backbone}_Set5_{image}_w{width}.npz") as published:
            sr = outputs.combine(np.full(len(outputs.scores), index))
            assert np.abs(sr[..., ::-1] - published["sr_bgr_uint8"]).max() <= 1
            exact = published["sr_bgr_float32"]
        if exact.size:
            assert np.abs(sr[..., ::-1] - exact).max() <= 1


@pytest.mark.parametrize("backbone", ["fsrcnn", "carn"])
def test_the_published_flops_are_ours_in_the_papers_convention(reference: Path, backbone: str) -> None:
    lut = PaperLut.from_json_file(reference / f"lut_{backbone}.json")
    supernet = Supernet(get_backbone(lut.backbone), lut.scale)
    assert [supernet.flops(w, 32, 32).paper for w in lut.widths[1:]] == lut.flops[1:].tolist()


def test_rows_of_a_whole_evaluation(reference: Path, validation_data: Path) -> None:
    rows = evaluate_paper(
        reference / "arm-fsrcnn.pth", reference / "lut_fsrcnn.json", validation_data / "Set5", limit=2
    )
    assert [r.image for r in rows] == ["img_001.png"] * 11 + ["img_002.png"] * 11 + [MEAN] * 11
    found = {(r.image, r.policy): r for r in rows}
    assert found["img_001.png", "fixed:56"].psnr_rgb_db == pytest.approx(31.577483, abs=1e-3)
    assert found[MEAN, "fixed:56"].psnr_rgb_db == pytest.approx((31.577483 + 30.745732) / 2, abs=1e-3)
    assert found[MEAN, "fixed:56"].flops_percent == 100
    assert found[MEAN, "fixed:0"].flops_percent == 0
    # Sixteen and four patches: at eta 4x six of the first image's stay at width 36.
    narrow = 304570372 / 467877892
    assert found["img_001.png", "eta:4x"].flops_percent == pytest.approx(100 * (10 + 6 * narrow) / 16)
    assert found[MEAN, "eta:4x"].flops_percent == pytest.approx(100 * (14 + 6 * narrow) / 20)


def test_the_rule_weighs_quality_against_flops(tmp_path: Path) -> None:
    lut = PaperLut.from_json_file(lut_file(tmp_path))
    # 20 lies between both centres and belongs to the lower bin. A dB is worth eta times 100 FLOPs.
    scores = np.array([0.0, 20.0, 20.1, 255.0])
    assert lut.choose(scores, 0.2).tolist() == [0, 0, 0, 0]
    assert lut.choose(scores, 0.5).tolist() == [0, 0, 1, 1]
    assert lut.choose(scores, 1.0).tolist() == [0, 0, 1, 1]
    assert lut.choose(scores, 2.0).tolist() == [1, 1, 1, 1]
    assert lut.flops_percent(np.array([0, 1, 1, 1])) == 75


@pytest.mark.parametrize(("height", "width", "rows", "columns"), [(32, 32, 1, 1), (59, 60, 1, 2), (90, 116, 3, 4)])
def test_patches_cover_what_the_published_loop_covers(height: int, width: int, rows: int, columns: int) -> None:
    outputs = run_subnets(noise(height, width), [bicubic(4)])
    assert (outputs.rows, outputs.columns) == (rows, columns)
    assert outputs.pixels.shape == (1, rows * columns, 128, 128, 3)
    image = outputs.combine(np.zeros(rows * columns, np.intp))
    assert image.dtype == np.float32
    assert image.shape == (112 * (rows - 1) + 128, 112 * (columns - 1) + 128, 3)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 1), (3, 4)])
def test_overlaps_are_averages(rows: int, columns: int) -> None:
    count = rows * columns
    pixels = np.zeros((2, count, 128, 128, 3), np.uint8)
    pixels[1] = 100
    choice = np.arange(count) % 2
    image = PatchOutputs(rows=rows, columns=columns, scores=np.zeros(count), pixels=pixels).combine(choice)
    total, weight = np.zeros_like(image), np.zeros_like(image)
    for i, subnet in enumerate(choice):
        y, x = 112 * (i // columns), 112 * (i % columns)
        total[y : y + 128, x : x + 128] += 100 * subnet
        weight[y : y + 128, x : x + 128] += 1
    np.testing.assert_array_equal(image, total / weight)


def test_batches_do_not_show() -> None:
    torch.manual_seed(0)
    subnet = Supernet(get_backbone("fsrcnn"), 4).subnet(16)
    lr = noise(32 + 28 * 4, 32 + 28 * 4)
    whole = run_subnets(lr, [subnet])
    single = run_subnets(lr[-32:, -32:], [subnet])
    assert np.abs(whole.pixels[0, -1].astype(int) - single.pixels[0, 0]).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(31, 64), (64, 31)])
def test_images_smaller_than_a_patch_are_refused(height: int, width: int) -> None:
    with pytest.raises(InputError, match="smaller than one patch"):
        run_subnets(noise(height, width), [bicubic(4)])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"patch": 48}, "patches of 48 px"),
        ({"widths": [16, 36]}, "must begin with 0"),
        ({"widths": [0, 16, 36]}, "one FLOPs figure each"),
        ({"edge_bin_centres": [1.0]}, "do not fit together"),
        ({"mean_psnr_db": "x"}, "not a LUT"),
        ({"flops_official_per_patch": None}, "one FLOPs figure each"),
    ],
)
def test_damaged_luts_are_refused(
    tmp_path: Path,
    change: dict[str, Any],
    told: str,
) -> None:
    with pytest.raises(LadderError, match=told):
        PaperLut.from_json_file(lut_file(tmp_path, **change))


@pytest.mark.parametrize("text", ["", "[]", "{}", "3"])
def test_other_documents_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "lut.json").write_text(text)
    with pytest.raises(LadderError, match="not a LUT"):
        PaperLut.from_json_file(tmp_path / "lut.json")
    with pytest.raises(LadderError, match="not a LUT"):
        PaperLut.from_json_file(tmp_path / "missing.json")


def test_weights_must_belong_to_the_lut(tmp_path: Path) -> None:
    lut = PaperLut.from_json_file(lut_file(tmp_path))
    save_weights(tmp_path / "w.safetensors", Supernet(get_backbone("fsrcnn"), 4))
    assert len(load_subnets(tmp_path / "w.safetensors", lut)) == 2
    with pytest.raises(LadderError, match="carn"):
        load_subnets(tmp_path / "w.safetensors", replace(lut, backbone="carn"))


def test_an_evaluation_without_reference_data(tmp_path: Path) -> None:
    for folder, side in (("HR", 256), ("LRx4", 64)):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.png"), np.full((side, side, 3), 90, np.uint8))
    torch.manual_seed(0)
    save_weights(tmp_path / "w.safetensors", Supernet(get_backbone("fsrcnn"), 4))
    rows = evaluate_paper(tmp_path / "w.safetensors", lut_file(tmp_path), tmp_path)
    assert [r.policy for r in rows][:2] == ["fixed:0", "fixed:16"]
    assert len(rows) == 2 * (2 + 7)
    assert rows[0].psnr_rgb_db == np.inf
