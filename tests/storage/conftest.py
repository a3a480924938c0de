from __future__ import annotations

from pathlib import Path

import pytest

from arm_batch.storage.base import ObjectStore
from arm_batch.storage.open import open_store


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store of each kind."""
    if request.param == "local":
        return open_store(str(tmp_path / "root"))
    bucket, endpoint = request.getfixturevalue("s3_bucket"), request.getfixturevalue("s3_endpoint")
    return open_store(f"s3://{bucket}/some/prefix", endpoint)
