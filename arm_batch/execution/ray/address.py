"""The address of a Ray cluster: which it is, and whether anybody is there.

Ray itself takes two minutes to find out that nobody is, and then ends in a traceback.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from arm_batch.errors import ClusterError

CONNECT_S = 10.0
"""For a connection; and as long again for a first word on it."""

_CLIENT, _CLIENT_PORT = "ray://", 10001

_REMEMBERED = "ray/ray_current_cluster"
"""Under the folder for temporary files: where `ray start` notes the address of its cluster."""


def check_cluster(connect_s: float = CONNECT_S) -> str | None:
    """Make sure that the cluster which `ray.init` would join is there.

    Args:
        connect_s: seconds; twice as many pass at most.

    Returns:
        Its address, as it was written; None where there is none to join and one will be started.

    Raises:
        ClusterError: nobody answers at the address, or somebody else.
    """
    address, source = named_address()
    if address is None:
        return None
    if "://" in address and not address.startswith(_CLIENT):
        # Of somebody who has taught Ray his own.
        return address
    host, port = _place(address, source)
    try:
        socket.create_connection((host, port), connect_s).close()
    except OSError as error:
        raise _gone(address, source, str(error.strerror or error)) from error
    # With TLS it would take the certificates of Ray's configuration: then Ray has to find out.
    if os.environ.get("RAY_USE_TLS", "0") == "0":
        # It takes a while to load, and most runs name no cluster.
        import grpc

        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        with grpc.insecure_channel(target, [("grpc.enable_http_proxy", 0)]) as channel:
            try:
                grpc.channel_ready_future(channel).result(connect_s)
            except grpc.FutureTimeoutError as error:
                raise _gone(address, source, "what answers there is no Ray") from error
    return address


def named_address() -> tuple[str | None, str]:
    """The address of the cluster that `ray.init` would join, and who said so. The order is that of Ray."""
    given = os.environ.get("RAY_ADDRESS", "")
    if given not in ("", "auto", "local"):
        return given, "RAY_ADDRESS"
    note = Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp", _REMEMBERED)
    try:
        return (None if given == "local" else note.read_text().strip() or None), "`ray start` on this machine"
    except OSError:
        return None, ""


def _place(address: str, source: str) -> tuple[str, int]:
    try:
        parts = urlsplit(_CLIENT + address.removeprefix(_CLIENT))
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if port is None and address.startswith(_CLIENT):
        port = _CLIENT_PORT
    if host is None or port is None:
        raise ClusterError(f"{source} says {address!r}: write HOST:PORT, or nothing to start a Ray here")
    return host, port


def _gone(address: str, source: str, reason: str) -> ClusterError:
    forget = "unset it" if source == "RAY_ADDRESS" else "`ray stop` forgets it"
    return ClusterError(
        f"the Ray cluster at {address}, which {source} names, cannot be reached: {reason}; "
        f"start it, or {forget} and a Ray is started here"
    )
