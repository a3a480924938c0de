"""``arm-batch train | build-lut | evaluate``: making and measuring ladders."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer

from arm_batch.core.tiles import TileGrid
from arm_batch.errors import UsageError
from arm_batch.nets.calibrate import build_lut
from arm_batch.nets.checkpoint import load_supernet, sha256_of
from arm_batch.nets.data import CropSampler, load_pair, split_images
from arm_batch.nets.evaluate import evaluate
from arm_batch.nets.infer import Upscaler
from arm_batch.nets.ladder_files import (
    SupernetFile,
    find_ladder,
    list_subnets,
    load_ladder,
    save_ladder,
    weights_digest,
)
from arm_batch.nets.optimizers import OptimizerName
from arm_batch.nets.paper import MEAN, evaluate_paper
from arm_batch.nets.registry import BACKBONES, get_backbone
from arm_batch.nets.slimmable import Supernet
from arm_batch.nets.strategies import Strategy
from arm_batch.nets.train import Progress, TrainConfig, train

Protocol = Literal["whole", "paper"]
Device = Literal["cpu", "cuda"]

VALIDATION_CROPS = 64
VALIDATION_CROP_PX = 64


def train_command(
    data: Annotated[Path, typer.Option(help="Folder of photographs (recursive).")],
    out: Annotated[Path, typer.Option(help="Folder for weights, log and checkpoint; continued if it has one.")],
    backbone: Annotated[str, typer.Option(help=f"One of {', '.join(BACKBONES)}.")] = "fsrcnn",
    scale: Annotated[int, typer.Option(help="2, 3 or 4.")] = 4,
    steps: Annotated[int, typer.Option(min=1)] = 110_000,
    batch: Annotated[int, typer.Option(min=1, help="Crops per step.")] = 16,
    crop: Annotated[int, typer.Option(min=8, help="Side of a crop, LR px.")] = 32,
    learning_rate: Annotated[float, typer.Option(min=0)] = 2e-3,
    optimizer: Annotated[OptimizerName, typer.Option(help="muon: for kernels; Adam does the rest.")] = "adam",
    strategy: Annotated[Strategy, typer.Option(help="Which subnets a step trains.")] = "power",
    sampling_power: Annotated[float, typer.Option(min=0, help="Of the cost, under `power`.")] = 2.0,
    ema_decay: Annotated[float, typer.Option(min=0, max=1, help="Of the averaged weights.")] = 0.999,
    bf16_steps: Annotated[int, typer.Option(min=0, help="The first so many steps in bfloat16.")] = 92_000,
    init: Annotated[Path | None, typer.Option(help="Weights to start from, instead of random ones.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    device: Annotated[Device, typer.Option(help="On cuda the networks are compiled.")] = "cpu",
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 1000,
) -> None:
    """Train a supernet; one image in five is held out for `build-lut`."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    family = get_backbone(backbone)
    supernet = Supernet(family, scale) if init is None else load_supernet(init, family, scale).train()
    config = TrainConfig(
        family.widths,
        steps,
        batch_size=batch,
        crop_px=crop,
        learning_rate=learning_rate,
        optimizer=optimizer,
        strategy=strategy,
        sampling_power=sampling_power,
        ema_decay=ema_decay,
        bf16_steps=bf16_steps,
        seed=seed,
        initial_weights="" if init is None else sha256_of(init),
    )
    training, held_out = split_images(data)
    sampler = CropSampler([load_pair(path, scale) for path in training], crop, scale)
    validation = CropSampler([load_pair(path, scale) for path in held_out], VALIDATION_CROP_PX, scale)
    crops = validation.sample(np.random.default_rng(0), VALIDATION_CROPS)
    supernet = supernet.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if device == "cuda":
        supernet.compile()
    train(supernet, config, sampler, crops, out, _print_training, checkpoint_every)


def build_lut_command(
    weights: Annotated[Path, typer.Argument(help="Weights of one supernet (.safetensors or .pth).")],
    out: Annotated[Path, typer.Argument(help="Folder of the ladder to make.")],
    data: Annotated[Path, typer.Option(help="The folder given to `train`; its held-out images are used.")],
    name: Annotated[str, typer.Option(help="Name of the ladder.")],
    backbone: Annotated[str, typer.Option()] = "fsrcnn",
    scale: Annotated[int, typer.Option()] = 4,
    tile: Annotated[int, typer.Option(min=8, help="LR px.")] = 32,
    halo: Annotated[int, typer.Option(min=0, help="LR px.")] = 2,
) -> None:
    """Measure a supernet's subnets per edge score and write a ladder that `upscale --ladder` takes."""
    family = get_backbone(backbone)
    supernet = load_supernet(weights, family, scale)
    _, held_out = split_images(data)
    grid = TileGrid(tile, halo)
    out.mkdir(parents=True, exist_ok=True)
    copied = out / f"{backbone}{weights.suffix}"
    if copied.resolve() != weights.resolve():
        shutil.copyfile(weights, copied)
    file = SupernetFile(backbone, copied.name, sha256_of(copied), family.widths)
    subnets, nets = list_subnets([(supernet, family.widths)], grid)
    provenance = {
        "weights": weights_digest([file]),
        "score": "laplacian",
        "images": " ".join(sorted(path.name for path in held_out)),
    }
    lut = build_lut(
        Upscaler(nets, grid, scale, "cpu"), len(subnets), grid, (load_pair(p, scale) for p in held_out), provenance
    )
    save_ladder(out, name, scale, grid, [file], lut)
    typer.echo(f"{out}: {len(subnets)} subnets, {lut.n_bins} bins from {int(lut.tiles.sum()):,} tiles")


def evaluate_command(
    subject: Annotated[str, typer.Argument(help="Shipped ladder, ladder folder or, with --backbone, weights.")],
    data: Annotated[Path, typer.Option(help="Folder with HR/ and LRx<scale>/ of the same names.")],
    protocol: Annotated[Protocol, typer.Option(help="whole images, or the published code's patches.")] = "whole",
    lut: Annotated[Path | None, typer.Option(help="Published table (JSON), for --protocol paper.")] = None,
    backbone: Annotated[str, typer.Option(help="Of weights given by file.")] = "fsrcnn",
    scale: Annotated[int, typer.Option(help="Of weights given by file.")] = 4,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many images.")] = None,
) -> None:
    """Measure every subnet, or reproduce the published protocol: each fixed width and each eta."""
    if protocol == "paper":
        if lut is None:
            raise UsageError("--protocol paper needs the published table: --lut lut_fsrcnn.json")
        for result in evaluate_paper(Path(subject), lut, data, limit):
            if result.image == MEAN:
                share = f"{result.flops_percent:7.2f} % of the FLOPs (paper)"
                typer.echo(f"{result.policy:<12} {result.psnr_rgb_db:8.4f} dB (RGB) {share}")
        return
    if Path(subject).is_file():
        supernets = [load_supernet(Path(subject), get_backbone(backbone), scale)]
    else:
        nets = load_ladder(find_ladder(subject)).nets
        supernets = list({id(net[0]): net[0] for net in nets if net is not None}.values())
    typer.echo(f"{'':<12} {'images':>6} {'Y dB':>8} {'RGB dB':>8} {'MFLOP':>8}  (executed, 32x32 LR px)")
    for row in (row for supernet in supernets for row in evaluate(supernet, data, limit=limit)):
        typer.echo(
            f"{row.name:<12} {row.images:>6} {row.psnr_y_db:8.3f} {row.psnr_rgb_db:8.3f} {row.flops / 1e6:8.1f}"
        )


def _print_training(progress: Progress) -> None:
    left = (progress.steps - progress.step) / progress.steps_per_second
    psnr = "  ".join(f"{width}: {db:.2f}" for width, db in progress.validation_psnr_db.items())
    typer.echo(
        f"step {progress.step:,} of {progress.steps:,}  loss {progress.loss:.5f}  "
        f"validation dB {psnr}  {progress.steps_per_second:.1f} steps/s  {left / 60:.0f} min left"
    )
