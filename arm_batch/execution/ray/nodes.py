"""What the nodes of a cluster are able to do."""

from __future__ import annotations

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from arm_batch.execution.ray.cluster import alive_nodes, connected
from arm_batch.models.runtimes.native import multiplies_bf16


@ray.remote(num_cpus=0, max_retries=0)
def multiplies_bf16_task() -> bool:
    """See `multiplies_bf16`, of the node that it runs on."""
    return multiplies_bf16()


def all_multiply_bf16() -> bool:
    """Whether every node does that the cluster has now.

    Raises:
        ClusterError: there is no cluster where one is named.
    """
    with connected():
        places = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in alive_nodes()]
        return all(ray.get([multiplies_bf16_task.options(scheduling_strategy=place).remote() for place in places]))
