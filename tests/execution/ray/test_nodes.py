"""What the nodes of a cluster are able to do."""

from __future__ import annotations

import pytest

from arm_batch.execution.ray.nodes import all_multiply_bf16
from arm_batch.models.runtimes.native import multiplies_bf16


@pytest.mark.usefixtures("cluster")
def test_a_cluster_of_this_machine_multiplies_what_this_machine_does() -> None:
    assert all_multiply_bf16() == multiplies_bf16()
