"""The actor of a quota: the jobs of one cluster wait for each other in it instead of deciding again and again.

Jobs of other clusters, or of none, may use the same quota.
"""

from __future__ import annotations

import hashlib

from arm_batch.budget.protocol import Quota
from arm_batch.budget.quota import SharedQuota
from arm_batch.execution.ray.named_actor import NamedActor
from arm_batch.storage.base import ObjectStore


def quota_actor(store: ObjectStore) -> NamedActor[Quota]:
    """The actor of the quota at the root of `store`; all jobs of the cluster find the same one."""
    name = f"quota-{hashlib.sha256(store.url.encode()).hexdigest()[:16]}"
    return NamedActor[Quota](name, SharedQuota(store))
