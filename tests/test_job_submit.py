"""`ray job submit` against a head node of its own with token authentication, from S3 to S3."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import cv2
import numpy as np
import pytest

from arm_batch import open_dataset
from tests.image_files import by_opencv

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

REPOSITORY = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
RAY = str(BIN / "ray")

START_S = 900
SUBMIT_S = 900
STOP_S = 300
"""They only bound a hang."""

SIZES = ((64, 80), (33, 50), (40, 31))
"""Height and width of the images."""


@dataclass(frozen=True)
class Cluster:
    """A running head node: where jobs go, and the environment that its token is found in."""

    address: str
    environment: dict[str, str]

    def submit(self, *arguments: str, auth_mode: str | None = "token") -> subprocess.CompletedProcess[str]:
        """Submit the job and wait for its end; tried again while the head's job agent is still starting."""
        environment = dict(self.environment)
        if auth_mode is not None:
            environment["RAY_AUTH_MODE"] = auth_mode
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
        runtime_env = {"env_vars": {name: os.environ[name] for name in names}}
        command = [RAY, "job", "submit", "--address", self.address, "--working-dir", "."]
        command += ["--runtime-env-json", json.dumps(runtime_env)]
        command += ["--", "python", "jobs/upscale_dataset.py", *arguments]
        deadline = time.monotonic() + START_S
        while True:
            done = subprocess.run(
                command,
                cwd=REPOSITORY,
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=SUBMIT_S,
            )
            if "No available agent" not in done.stdout or time.monotonic() > deadline:
                return done


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head node that found a token in its home folder, as after `ray get-auth-token --generate`."""
    # Sockets lie below this folder and their paths may not exceed some 100 characters.
    with tempfile.TemporaryDirectory(prefix="rj-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        environment |= {"HOME": folder, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run(
            [RAY, "get-auth-token", "--generate"],
            env=environment,
            check=True,
            capture_output=True,
            timeout=START_S,
        )
        assert (Path(folder) / ".ray" / "auth_token").is_file()
        with _head(Path(folder), environment) as address:
            yield Cluster(address, environment)


@contextmanager
def _head(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    gcs, dashboard, agent, client = _free_ports(4)
    command = [RAY, "start", "--head", "--block", "--disable-usage-stats", "--num-cpus=2"]
    command += [f"--temp-dir={folder}", f"--port={gcs}", f"--ray-client-server-port={client}"]
    command += ["--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
    # On its default port the agent of another Ray on this machine may listen; no job could be submitted then.
    command += [f"--dashboard-agent-listen-port={agent}", "--object-store-memory=200000000"]
    log = folder / "head.log"
    with log.open("w") as output:
        head = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_S
        while "Ray runtime started" not in log.read_text():
            assert head.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        assert "Token authentication is enabled" in log.read_text()
        yield f"http://127.0.0.1:{dashboard}"
    finally:
        # With --block, SIGTERM stops every process that `ray start` has started.
        head.terminate()
        try:
            head.wait(STOP_S)
        finally:
            head.kill()
            head.wait()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _upload(endpoint: str, bucket: str, prefix: str) -> None:
    rng = np.random.default_rng(0)
    client = boto3.session.Session().client("s3", endpoint_url=endpoint)
    for number, (height, width) in enumerate(SIZES):
        pixels = cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (width, height))
        data = cv2.imencode(".png", pixels)[1].tobytes()
        client.put_object(Bucket=bucket, Key=f"{prefix}/{number}.png", Body=data)


def test_submitted_with_the_token_from_s3_to_s3(cluster: Cluster, s3_endpoint: str, s3_bucket: str) -> None:
    _upload(s3_endpoint, s3_bucket, "in")
    output = f"s3://{s3_bucket}/out"
    done = cluster.submit(
        *("--input", f"s3://{s3_bucket}/in", "--output", output),
        *("--budget", "40%", "--endpoint-url", s3_endpoint),
    )
    assert done.returncode == 0, done.stdout
    assert "images     3 (0 failed)" in done.stdout

    rows = open_dataset(output, endpoint_url=s3_endpoint).to_table().to_pylist()
    assert [row["status"] for row in rows] == ["ok"] * len(SIZES)
    assert [row["path"] for row in rows] == ["0.png", "1.png", "2.png"]
    assert [(row["height"], row["width"]) for row in rows] == [(4 * h, 4 * w) for h, w in SIZES]
    for row in rows:
        image = by_opencv(row["image"]["bytes"], cv2.IMREAD_UNCHANGED)
        assert image.shape == (row["height"], row["width"], 3)


def test_a_failed_image_fails_the_job(cluster: Cluster, s3_endpoint: str, s3_bucket: str) -> None:
    _upload(s3_endpoint, s3_bucket, "in")
    client = boto3.session.Session().client("s3", endpoint_url=s3_endpoint)
    client.put_object(Bucket=s3_bucket, Key="in/broken.png", Body=b"not an image")
    output = f"s3://{s3_bucket}/out"
    done = cluster.submit(
        *("--input", f"s3://{s3_bucket}/in", "--output", output),
        *("--budget", "40%", "--endpoint-url", s3_endpoint),
    )
    assert done.returncode == 1, done.stdout
    assert "failed with exit code 3" in done.stdout
    assert "1 of 4 images failed" in done.stdout

    status = {
        row["path"]: row["status"] for row in open_dataset(output, endpoint_url=s3_endpoint).to_table().to_pylist()
    }
    assert status == {"0.png": "ok", "1.png": "ok", "2.png": "ok", "broken.png": "failed"}


def test_without_the_token_nothing_is_submitted(cluster: Cluster, s3_endpoint: str) -> None:
    del s3_endpoint  # only for the credentials it sets
    done = cluster.submit("--input", "in", "--output", "out", auth_mode=None)
    assert done.returncode == 1
    assert "AuthenticationError" in done.stdout
