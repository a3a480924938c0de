"""``arm-batch train | build-lut``: making ladders."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Annotated

import typer

from arm_batch.cli.options import parse_photographs, parse_weights
from arm_batch.cli.signals import stop_signals
from arm_batch.core.tiling.limits import MAX_HALO, MAX_TILE
from arm_batch.errors import UsageError
from arm_batch.training.choices import DegradeName, Device, Loss, OptimizerName, Strategy


def train_command(
    data: Annotated[
        list[str],
        typer.Option(
            metavar="FOLDER[:REDUCTIONS]",
            help="Folder of photographs (recursive), reduced by each of REDUCTIONS, such as 2,3. Repeatable.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(help="Folder for weights, log and checkpoint. Training goes on from a checkpoint in it."),
    ],
    backbone: Annotated[
        str,
        typer.Option(
            help="Family of networks, such as fsrcnn or carn. An unknown name is answered with all of them."
        ),
    ] = "fsrcnn",
    scale: Annotated[int, typer.Option(help="Upscaling factor: 2, 3 or 4.")] = 4,
    reductions: Annotated[str, typer.Option(help="REDUCTIONS for folders that name none.")] = "2",
    steps: Annotated[int, typer.Option(min=1, help="Number of training steps.")] = 50_000,
    batch: Annotated[int, typer.Option(min=1, help="Crops per step.")] = 16,
    crop: Annotated[int, typer.Option(min=8, help="Side of a crop, LR px.")] = 32,
    learning_rate: Annotated[float, typer.Option(min=0, help="Learning rate to begin with.")] = 2e-3,
    optimizer: Annotated[
        OptimizerName, typer.Option(help="Optimizer; soap steps kernels, and Adam the rest.")
    ] = "soap",
    loss: Annotated[Loss, typer.Option(help="Loss: l1 to begin with, l2 to end with, for PSNR.")] = "l1",
    strategy: Annotated[Strategy, typer.Option(help="Which subnets a step trains.")] = "power",
    sampling_power: Annotated[
        float, typer.Option(min=0, help="Power of the cost that a subnet is drawn by, with --strategy power.")
    ] = 2.0,
    ema_decay: Annotated[float, typer.Option(min=0, max=1, help="Decay of the averaged weights.")] = 0.999,
    bf16_steps: Annotated[int, typer.Option(min=0, help="Run this many steps, the first, in bfloat16.")] = 45_000,
    color_jitter: Annotated[
        bool, typer.Option("--color-jitter", help="Train on crops in other and stronger colours, too.")
    ] = False,
    dead_leaves: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the crops on which pieces of others are laid.")
    ] = 0.0,
    degrade: Annotated[
        DegradeName, typer.Option(help="How LR crops are made: clean, mildly degraded, or as archives have them.")
    ] = "none",
    clean_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of crops that --degrade leaves clean.")
    ] = 0.2,
    decay_steps: Annotated[
        int | None,
        typer.Option(min=1, help="Let the learning rate fall over this many steps, the last. Default: over all."),
    ] = None,
    init: Annotated[Path | None, typer.Option(help="Weights to start from, instead of random ones.")] = None,
    body_only: Annotated[
        bool, typer.Option("--body-only", help="Take from --init all but the upsampler, whatever its scale.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights and crops.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of this process.")] = 1,
    device: Annotated[Device, typer.Option(help="Device to train on.")] = "cpu",
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 1000,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="End at the first checkpoint after this many minutes; the same command goes on."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Train on this many processes of a Ray cluster (extra `train`). Default: in this one.",
        ),
    ] = None,
) -> None:
    """Train a supernet; one image in five is held out for `build-lut`.

    Ctrl-C and SIGTERM end it at the next checkpoint, a second one at once; either way the same command goes on.
    """
    # Torch takes seconds to load, and --help does not need it.
    from arm_batch.models.backbones.registry import get_backbone
    from arm_batch.training.config import TrainConfig
    from arm_batch.training.job import TrainingJob, run_training

    ends = math.inf if minutes is None else time.monotonic() + 60 * minutes
    config = TrainConfig(
        widths=get_backbone(backbone).widths,
        steps=steps,
        batch_size=batch,
        crop_px=crop,
        learning_rate=learning_rate,
        optimizer=optimizer,
        loss=loss,
        strategy=strategy,
        sampling_power=sampling_power,
        ema_decay=ema_decay,
        bf16_steps=bf16_steps,
        color_jitter=color_jitter,
        dead_leaves=dead_leaves,
        degrade=degrade,
        clean_share=0.0 if degrade == "none" else clean_share,
        decay_steps=decay_steps,
        seed=seed,
    )
    job = TrainingJob(
        data=tuple(parse_photographs(text, reductions) for text in data),
        out=out,
        backbone=backbone,
        scale=scale,
        config=config,
        init=init,
        body_only=body_only,
        device=device,
        threads=threads,
        checkpoint_every=checkpoint_every,
    )
    if workers is None:
        with stop_signals() as asked:
            run_training(
                job,
                lambda progress: typer.echo(progress.line()),
                typer.echo,
                stop=lambda: asked() or time.monotonic() >= ends,
            )
    elif minutes is not None:
        raise UsageError("--minutes: workers do not agree on the time; use it without --workers")
    else:
        # Ray takes a second to import, and without --workers nothing here needs it.
        from arm_batch.execution.ray.training import train_on_ray

        train_on_ray(job, workers)


def build_lut_command(
    out: Annotated[Path, typer.Argument(help="Folder of the ladder to make.")],
    supernet: Annotated[list[str], typer.Option(help="BACKBONE=WEIGHTS (.safetensors or .pth). Repeatable.")],
    data: Annotated[
        list[str],
        typer.Option(
            metavar="FOLDER[:REDUCTIONS]",
            help="Folders as given to `train`; the images that it held out are used. Repeatable.",
        ),
    ],
    name: Annotated[str, typer.Option(help="Name of the ladder.")],
    scale: Annotated[int, typer.Option(help="Upscaling factor: 2, 3 or 4.")] = 4,
    tile: Annotated[int, typer.Option(min=8, max=MAX_TILE, help="Side of a tile, LR px.")] = 32,
    halo: Annotated[int, typer.Option(min=0, max=MAX_HALO, help="Width of the halo around a tile, LR px.")] = 2,
    score: Annotated[
        str | None,
        typer.Option(
            help="Score: laplacian, octave, gain or level, or two of them with a comma. Default: gain,level.",
            show_default=False,
        ),
    ] = None,
    degrade: Annotated[
        DegradeName, typer.Option(help="How LR images are made beside clean ones, as for `train`.")
    ] = "none",
) -> None:
    """Measure all subnets per score and write a ladder of those worth having, for `upscale --ladder`."""
    from arm_batch.core.tiling.grid import TileGrid
    from arm_batch.evaluation.build_ladder import build_ladder
    from arm_batch.evaluation.calibrate import DEFAULT_REDUCTIONS, DEFAULT_SCORES, Photographs, score_names
    from arm_batch.training.data import split_images

    folders = [parse_photographs(text, DEFAULT_REDUCTIONS) for text in data]
    held_out = tuple((path, reductions) for folder, reductions in folders for path in split_images(folder)[1])
    weights = [parse_weights(text) for text in supernet]
    photographs = Photographs(held_out, degrade)
    scores = DEFAULT_SCORES if score is None else score_names(score)
    built = build_ladder(out, name, scale, TileGrid(tile, halo), weights, photographs, scores)
    typer.echo(f"{out}: {', '.join(built.subnets)}")
    if built.dropped:
        typer.echo(f"left out, under the convex hull of cost and error in every bin: {', '.join(built.dropped)}")
    typer.echo(f"{built.lut.n_bins} bins from {int(built.lut.tiles.sum()):,} tiles")
