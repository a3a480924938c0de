"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import hypothesis
import pytest
import ray
from moto.server import ThreadedMotoServer

from arm_batch.storage.base import ObjectStore
from arm_batch.storage.open import open_store
from arm_batch.storage.s3.client import s3_client

SHARED = Path(__file__).parents[2] / "shared"
"""Reference and evaluation data, where the repository has any beside it."""

_numbers = count()

# A deadline, or examples that are long in the making, would fail a test by the clock, and machines are noisy.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--chaos full`` is what ``make chaos`` runs: hours rather than minutes."""
    parser.addoption("--chaos", choices=("small", "full"), default="small", help="size of the chaos tests")


SLOW = (
    "chaos",
    "corpus",
    "execution/ray",
    "fuzz",
    "sequences",
    "test_install.py",
    "test_job_submit.py",
    "training/test_distributed.py",
)
"""Where most tests start Ray, other processes or environments of their own, or take hundreds of files through."""


LONGEST = (
    "test_install.py",
    "execution/ray/test_faults.py",
    "execution/ray/test_training.py",
    "chaos",
    "execution",
    "test_job_submit.py",
    "models/test_seams.py",
)
"""Where tests take longest, from the longest file on."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out of `make check` what is in these places, and what needs a cluster; begin with what takes longest.

    The longest file at the end would keep one core busy while the others are done.
    """
    root = Path(__file__).parent
    places = {
        item: item.path.relative_to(root).as_posix() if item.path.is_relative_to(root) else "" for item in items
    }
    for item, place in places.items():
        if place.startswith(SLOW) or "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
    items.sort(
        key=lambda item: next((rank for rank, place in enumerate(LONGEST) if places[item].startswith(place)), 99)
    )


def present(folder: Path) -> Path:
    """`folder`, or a visible skip of the test that asked for it."""
    if not folder.is_dir():
        pytest.skip(f"{folder.relative_to(SHARED)} is not beside the repository, under ../shared")
    return folder


@pytest.fixture(scope="session", autouse=True)
def no_tokens() -> Iterator[None]:
    """A local Ray would begin to ask for a token, which processes that were started before it do not have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        yield


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One local Ray for the tests of a module that ask for it; `connected` finds it."""
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def reference() -> Path:
    """What the published code gives: weights, LUTs, figures and outputs."""
    return present(SHARED / "reference" / "arm_official")


@pytest.fixture(scope="session")
def validation_data() -> Path:
    """Set5, Set14 and BSD100, each with HR and LRx4."""
    return present(SHARED / "data" / "val")


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """URL of an S3 server in this process; the environment holds credentials for it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.delenv("AWS_PROFILE", raising=False)
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_bucket(s3_endpoint: str) -> str:
    """Name of a fresh, empty bucket at `s3_endpoint`."""
    name = f"bucket-{next(_numbers)}"
    s3_client(s3_endpoint).create_bucket(Bucket=name)
    return name


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store of each kind."""
    if request.param == "local":
        return open_store(str(tmp_path / "root"))
    bucket, endpoint = request.getfixturevalue("s3_bucket"), request.getfixturevalue("s3_endpoint")
    return open_store(f"s3://{bucket}/some/prefix", endpoint)
