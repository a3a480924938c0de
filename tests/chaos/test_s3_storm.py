"""A run through a proxy that loses answers, returns errors and delays: it completes, with the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pyarrow as pa
import pytest

from arm_batch import pipeline
from arm_batch.errors import OutputError
from arm_batch.spec import JobSpec
from tests.archives import job, replanned, silent
from tests.chaos.runs import SHARD_IMAGES, assert_as_undisturbed
from tests.faults.plan import Fault
from tests.faults.proxy import FaultyS3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture
def bucket(s3_endpoint: str, archive: Path) -> Iterator[str]:
    """A bucket with the archive in it; its name decides, with the seed, which requests are hurt."""
    client = boto3.session.Session().client("s3", endpoint_url=s3_endpoint)
    client.create_bucket(Bucket="storm")
    for path in archive.rglob("*"):
        if path.is_file():
            client.put_object(Bucket="storm", Key=f"in/{path.relative_to(archive)}", Body=path.read_bytes())
    yield "storm"
    for info in client.get_paginator("list_objects_v2").paginate(Bucket="storm"):
        for item in info.get("Contents", []):
            client.delete_object(Bucket="storm", Key=item["Key"])
    client.delete_bucket(Bucket="storm")


def remote(bucket: str, output: str, endpoint_url: str) -> JobSpec:
    spec = job(f"s3://{bucket}/in", f"s3://{bucket}/{output}", endpoint_url=endpoint_url)
    return replanned(spec, limits=replace(spec.plan.limits, images=SHARD_IMAGES))


def test_a_storm(s3_endpoint: str, bucket: str, reference: pa.Table, scale: Callable[[int, int], int]) -> None:
    for seed in range(scale(1, 20)):
        with FaultyS3(
            s3_endpoint, error_rate=0.05, lost_rate=0.05, delay_rate=0.05, delay_s=0.05, seed=seed
        ) as proxy:
            spec = remote(bucket, f"out-{seed}", proxy.url)
            pipeline.upscale(spec, silent)
            counts = proxy.counts
        assert min(counts[fault] for fault in (Fault.ERROR, Fault.LOST)) > 0
        assert_as_undisturbed(replanned(spec, endpoint_url=s3_endpoint), reference)
        print(f"seed {seed}: {dict(counts)}")


def test_lost_answers_to_every_commit(s3_endpoint: str, bucket: str, reference: pa.Table) -> None:
    with FaultyS3(s3_endpoint, seed=0) as proxy:
        for shard in range(9):
            proxy.script(Fault.LOST, method="PUT", path=f"commits/g0000/{shard:06d}")
        spec = remote(bucket, "out", proxy.url)
        pipeline.upscale(spec, silent)
        assert proxy.counts[Fault.LOST] == 9
    assert_as_undisturbed(replanned(spec, endpoint_url=s3_endpoint), reference)


def test_a_store_that_overwrites_needs_the_word_of_a_single_writer(
    s3_endpoint: str, bucket: str, reference: pa.Table
) -> None:
    with FaultyS3(s3_endpoint, honours_conditions=False) as proxy:
        spec = remote(bucket, "out", proxy.url)
        with pytest.raises(OutputError, match="--single-writer"):
            pipeline.upscale(spec, silent)
        pipeline.upscale(replace(spec, single_writer=True), silent)
    assert_as_undisturbed(replanned(spec, endpoint_url=s3_endpoint), reference)
