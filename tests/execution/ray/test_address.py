from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from arm_batch.errors import ClusterError
from arm_batch.execution.ray.address import check_cluster


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Of somebody who accepts connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    """Where nobody listens, whatever other processes do."""
    return 1


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_cluster_that_is_gone(closed_port: int, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"{scheme}127.0.0.1:{closed_port}")
    with pytest.raises(ClusterError) as caught:
        check_cluster()
    assert str(caught.value) == (
        f"the Ray cluster at {scheme}127.0.0.1:{closed_port}, which RAY_ADDRESS names, cannot be reached: "
        "Connection refused; start it, or unset it and a Ray is started here"
    )


def test_somebody_else_at_the_address(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{silent_port}")
    with pytest.raises(ClusterError, match="cannot be reached: what answers there is no Ray; start it"):
        check_cluster(connect_s=0.1)


def test_a_cluster_that_ray_start_has_noted_and_that_is_gone(
    closed_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert check_cluster() is None
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{closed_port}\n")
    with pytest.raises(
        ClusterError, match=r"which `ray start` on this machine names.*`ray stop` forgets it and a"
    ):
        check_cluster()
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert check_cluster() is None


@pytest.mark.parametrize("address", ["garbage", "host:", ":6379", "host:port", "host:99999"])
def test_what_is_no_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ClusterError, match=f"RAY_ADDRESS says '{address}': write HOST:PORT"):
        check_cluster()
