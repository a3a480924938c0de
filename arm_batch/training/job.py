"""A training as it is asked for: folders, networks and options, all that a process needs to take part in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from arm_batch.core.stop import Stop, never
from arm_batch.errors import UsageError
from arm_batch.models.backbones.registry import get_backbone
from arm_batch.models.backbones.slimmable import Supernet
from arm_batch.models.checkpoint import load_body, load_supernet, sha256_of
from arm_batch.training.choices import DegradeName, Device
from arm_batch.training.config import TrainConfig
from arm_batch.training.data import CropSampler, Pair, load_pair, split_images
from arm_batch.training.degradation import MARGIN
from arm_batch.training.sampling import reduce_of
from arm_batch.training.trainer import Progress, train
from arm_batch.training.validation import Group

STEPS_PER_DRAW: dict[Device, int] = {"cpu": 1, "cuda": 16}

VALIDATION_CROPS = 64
"""Of each kind of inputs, or `FEWEST_CROPS` of each kind of pictures where these are more."""

VALIDATION_CROP_PX = 64
FEWEST_CROPS = 4


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """What to train, on what, and where it goes.

    Attributes:
        data: folders of photographs, of each of which one in five is held out, and by what they are reduced.
        out: folder for weights, log and checkpoint; continued if it has one.
        backbone: name of the networks' family.
        scale: upscaling factor.
        config: how to train; `initial_weights` is filled in from `init`, `steps_per_draw` from `device`.
        init: weights to start from; ``None`` for random ones.
        body_only: of `init`, which may then be of any scale, take what lies before the upsampler.
        device: where it runs.
        threads: of each process.
        checkpoint_every: steps between checkpoints.
    """

    data: tuple[tuple[Path, tuple[int, ...]], ...]
    out: Path
    backbone: str
    scale: int
    config: TrainConfig
    init: Path | None
    body_only: bool
    device: Device
    threads: int
    checkpoint_every: int


def run_training(
    job: TrainingJob, report: Callable[[Progress], None], warn: Callable[[str], None], stop: Stop = never
) -> None:
    """Carry a training out, or this process's share of it.

    Args:
        job: the same in all processes that train together; both folders must be ones that all of them see.
        report: called at each checkpoint.
        warn: called with a line about images that are left out.
        stop: asked at each checkpoint whether to end there.

    Raises:
        UsageError: the request makes no sense; nothing was written.
        StoppedError, TrainingError: as `train`.
    """
    if job.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch finds no CUDA device")
    torch.set_num_threads(job.threads)
    supernet, initial_weights = _start(job)
    config = replace(job.config, initial_weights=initial_weights, steps_per_draw=STEPS_PER_DRAW[job.device])
    pairs, held_out = _load(job)
    margin = 0 if config.degrade == "none" else MARGIN
    sampler = CropSampler(pairs, config.crop_px + margin, job.scale, job.device)
    validation = _validation_groups(held_out, job)
    if sampler.skipped:
        warn(f"{sampler.skipped} of {len(pairs)} images are smaller than a crop and left out")
    supernet = supernet.to(job.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # All batches are of one shape: worth trying which algorithm is fastest.
    torch.backends.cudnn.benchmark = True
    train(supernet, config, sampler, validation, job.out, report, job.checkpoint_every, stop)


def _load(job: TrainingJob) -> tuple[list[Pair], dict[str, list[Pair]]]:
    """All photographs to train on, each as often as it is reduced, and held-out ones by the folder they lie in."""
    training: list[Pair] = []
    held_out: dict[str, list[Pair]] = {}
    for folder, reductions in job.data:
        seen, unseen = split_images(folder)
        training += [load_pair(path, job.scale, reduction) for path in seen for reduction in reductions]
        for path in unseen:
            held_out.setdefault(path.parent.name, []).append(load_pair(path, job.scale, reductions[0]))
    return training, held_out


def _validation_groups(held_out: dict[str, list[Pair]], job: TrainingJob) -> list[Group]:
    """Crops of each kind of pictures: clean ones, and other places with flaws where training has these."""
    kinds: list[DegradeName] = ["none"] if job.config.degrade == "none" else ["none", job.config.degrade]
    count = max(FEWEST_CROPS, VALIDATION_CROPS // len(held_out))
    groups = []
    for pictures, pairs in sorted(held_out.items()):
        for kind in kinds:
            margin = 0 if kind == "none" else MARGIN
            sampler = CropSampler(pairs, VALIDATION_CROP_PX + margin, job.scale)
            reduce = reduce_of(kind, clean_share=0.0, scale=job.scale)
            crops = sampler.sample(np.random.default_rng(0), count, reduce=reduce)
            groups.append(Group(pictures, "clean" if kind == "none" else kind, crops))
    return groups


def _start(job: TrainingJob) -> tuple[Supernet, str]:
    """The supernet that training starts from, and what a checkpoint of it says about that."""
    torch.manual_seed(job.config.seed)
    backbone = get_backbone(job.backbone)
    if job.init is None:
        if job.body_only:
            raise UsageError("--body-only says what to take of the weights of --init, which is missing")
        return Supernet(backbone, job.scale), ""
    if not job.body_only:
        return load_supernet(job.init, backbone, job.scale).train(), sha256_of(job.init)
    supernet = Supernet(backbone, job.scale)
    load_body(job.init, supernet)
    return supernet, f"the body of {sha256_of(job.init)}"
