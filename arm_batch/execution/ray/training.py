"""Training on several workers of a Ray cluster, by Ray Train; what that needs comes with the extra ``train``."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from arm_batch.errors import ArmBatchError, TrainingError, UsageError
from arm_batch.execution.ray.cluster import connected
from arm_batch.training.job import TrainingJob, run_training
from arm_batch.training.trainer import Progress

if TYPE_CHECKING:
    from ray.train.torch import TorchTrainer

LOST_WORKERS = 3
"""How often workers may get lost before a training gives up; what it has is in its checkpoint."""


def train_on_ray(job: TrainingJob, workers: int) -> None:
    """Train on `workers` processes of a cluster, one GPU or `job.threads` cores each.

    When workers get lost, all of them begin again at the last checkpoint. Lines of progress come out on standard
    output of the first worker, which Ray forwards.

    Args:
        job: its folders must be ones that every node sees.
        workers: number of processes; divides the batch.

    Raises:
        UsageError: Ray Train lacks what it needs.
        ArmBatchError: what stopped the first worker that stopped, or that too many were lost.
    """
    _check_installed()
    if job.config.batch_size % workers:
        raise TrainingError(
            f"batches of {job.config.batch_size} crops cannot be shared out evenly among {workers} workers"
        )
    with connected(), tempfile.TemporaryDirectory() as notes:
        for lost in range(LOST_WORKERS + 1):
            try:
                _trainer(job, workers, notes).fit()
                return
            except Exception as error:
                said = _said_by_worker(error)
                # What a worker says on purpose, it would say again.
                if said is not None:
                    raise said from error
                if lost == LOST_WORKERS:
                    told = " ".join(str(error).split())[:500]
                    raise TrainingError(f"workers were lost {LOST_WORKERS + 1} times, at last: {told}") from error


def _check_installed() -> None:
    try:
        import ray.train  # noqa: F401
    except ImportError:
        raise UsageError("--workers needs Ray Train: pip install 'arm-batch[train]'") from None


def _trainer(job: TrainingJob, workers: int, notes: str) -> TorchTrainer:
    """One attempt. Ray Train keeps its own notes about it; checkpoints are our business, and lie in `job.out`."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    on_gpu = job.device == "cuda"
    resources = {"GPU": 1.0} if on_gpu else {"CPU": float(job.threads)}
    return TorchTrainer(
        _take_part,
        train_loop_config={"job": job},
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=on_gpu, resources_per_worker=resources),
        run_config=RunConfig(storage_path=notes, failure_config=FailureConfig(max_failures=0)),
    )


def _take_part(options: dict[str, TrainingJob]) -> None:
    run_training(options["job"], _tell, lambda line: print(line, flush=True))


def _tell(progress: Progress) -> None:
    print(progress.line(), flush=True)


def _said_by_worker(error: Exception) -> ArmBatchError | None:
    """What a worker raised on purpose, out of what Ray Train wraps it in; ``None`` if it was lost."""
    failures = getattr(error, "worker_failures", {})
    for failure in failures.values():
        cause: BaseException | None = failure
        while cause is not None:
            if isinstance(cause, ArmBatchError):
                return cause
            cause = cause.__cause__
    return None
