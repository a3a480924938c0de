"""`status`, `attempts` and `verify`: what an output holds, from its store alone."""

from __future__ import annotations

import os

from arm_batch.core.attempts import Attempt
from arm_batch.errors import OutputError
from arm_batch.runstate.attempts import read_attempts
from arm_batch.runstate.generation import Generation, list_generations
from arm_batch.runstate.status import GenerationProgress, read_progress
from arm_batch.runstate.verify import Verification, verify_store
from arm_batch.storage.base import ObjectStore
from arm_batch.storage.open import open_store


def status(output: str | os.PathLike[str], *, endpoint_url: str | None = None) -> list[GenerationProgress]:
    """Tell what is done, failed and left of a run, while it runs or after.

    Args:
        output: folder or ``s3://`` prefix of a run.
        endpoint_url: of an S3 service other than AWS.

    Returns:
        One for each generation: the first run, then one for each time that it was extended or that failed images
        were tried again. Counts of images and shards, and executed FLOPs.

    Raises:
        OutputError: there is no run.
        StoreError: the store cannot be read, or a record in it is damaged.

    >>> import tempfile, numpy, PIL.Image, arm_batch
    >>> folder = tempfile.TemporaryDirectory()
    >>> ramp = numpy.arange(1200).reshape(40, 30) // 5
    >>> PIL.Image.fromarray(ramp.astype(numpy.uint8)).save(folder.name + "/ramp.png")
    >>> done = arm_batch.upscale(folder.name + "/ramp.png", folder.name + "/out", executor="inline")
    >>> [(each.done, each.failed, each.left) for each in arm_batch.status(folder.name + "/out")]
    [(1, 0, 0)]
    >>> folder.cleanup()
    """
    return read_progress(*_open(output, endpoint_url))


def attempts(output: str | os.PathLike[str], *, endpoint_url: str | None = None) -> list[Attempt]:
    """Tell who began a run and went on with it, where, for how long, and how far each was when last heard of.

    Args:
        output: folder or ``s3://`` prefix of a run.
        endpoint_url: of an S3 service other than AWS.

    Returns:
        One for each time that something was run, by start. One whose process was killed stays ``running``.

    Raises:
        OutputError: there is no run.
        StoreError: the store cannot be read.

    >>> import tempfile, numpy, PIL.Image, arm_batch
    >>> folder = tempfile.TemporaryDirectory()
    >>> ramp = numpy.arange(1200).reshape(40, 30) // 5
    >>> PIL.Image.fromarray(ramp.astype(numpy.uint8)).save(folder.name + "/ramp.png")
    >>> done = arm_batch.upscale(folder.name + "/ramp.png", folder.name + "/out", executor="inline")
    >>> [(each.outcome, each.progress.images_done) for each in arm_batch.attempts(folder.name + "/out")]
    [('done', 1)]
    >>> folder.cleanup()
    """
    store, _ = _open(output, endpoint_url)
    return read_attempts(store)


def verify(output: str | os.PathLike[str], *, endpoint_url: str | None = None) -> Verification:
    """Read back every plan, record, part and image of a run.

    Args:
        output: folder or ``s3://`` prefix of a run.
        endpoint_url: of an S3 service other than AWS.

    Returns:
        What is wrong, nothing where all is well (`repair=True` of `upscale` does again what is damaged); how many
        images there are, how many of them failed, and how many shards are left to do.

    Raises:
        OutputError: there is no run.
        StoreError: the store cannot be read.

    >>> import tempfile, numpy, PIL.Image, arm_batch
    >>> folder = tempfile.TemporaryDirectory()
    >>> ramp = numpy.arange(1200).reshape(40, 30) // 5
    >>> PIL.Image.fromarray(ramp.astype(numpy.uint8)).save(folder.name + "/ramp.png")
    >>> done = arm_batch.upscale(folder.name + "/ramp.png", folder.name + "/out", executor="inline")
    >>> arm_batch.verify(folder.name + "/out")
    Verification(problems=(), images=1, failed=0, left=0)
    >>> folder.cleanup()
    """
    return verify_store(*_open(output, endpoint_url))


def _open(output: str | os.PathLike[str], endpoint_url: str | None) -> tuple[ObjectStore, list[Generation]]:
    store = open_store(os.fspath(output), endpoint_url)
    generations = list_generations(store)
    if not generations:
        raise OutputError(f"{store.url} holds no arm_batch run")
    if generations[0].kind == "plan":
        raise OutputError(f"{store.url} holds a plan and no run; `arm-batch plan` with that --plan-out reads it")
    return store, generations
