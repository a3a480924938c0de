"""Training on several workers of a Ray cluster, by Ray Train."""

from __future__ import annotations

import tempfile

from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from arm_batch.errors import ArmBatchError, TrainingError
from arm_batch.nets.train import Progress
from arm_batch.nets.training_job import TrainingJob, run_training
from arm_batch.runtime.cluster import connected

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
        ArmBatchError: what stopped the first worker that stopped, or that too many were lost.
    """
    if job.config.batch_size % workers:
        raise TrainingError(
            f"batches of {job.config.batch_size} crops cannot be shared out evenly among {workers} workers"
        )
    on_gpu = job.device == "cuda"
    resources = {"GPU": 1.0} if on_gpu else {"CPU": float(job.threads)}
    with connected(), tempfile.TemporaryDirectory() as folder:
        trainer = TorchTrainer(
            _take_part,
            train_loop_config={"job": job},
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=on_gpu, resources_per_worker=resources),
            # Ray Train keeps its own notes about a run there; checkpoints are our business, and lie in `job.out`.
            run_config=RunConfig(storage_path=folder, failure_config=FailureConfig(max_failures=LOST_WORKERS)),
        )
        try:
            trainer.fit()
        except Exception as error:
            raise _reason(error) from error


def _take_part(options: dict[str, TrainingJob]) -> None:
    run_training(options["job"], _tell, lambda line: print(line, flush=True))


def _tell(progress: Progress) -> None:
    print(progress.line(), flush=True)


def _reason(error: Exception) -> ArmBatchError:
    """What a worker said, out of what Ray Train wraps it in."""
    failures = getattr(error, "worker_failures", {})
    for failure in failures.values():
        cause: BaseException | None = failure
        while cause is not None:
            if isinstance(cause, ArmBatchError):
                return cause
            cause = cause.__cause__
    return TrainingError(f"the workers stopped: {' '.join(str(error).split())[:500]}")
