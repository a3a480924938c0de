"""The main job: list, plan, allocate, run, commit, finish; each step from where an earlier attempt left it.

And its dry run, which ends after planning.
"""

from __future__ import annotations

from arm_batch.pipeline.plan import plan
from arm_batch.pipeline.upscale import upscale

__all__ = ["plan", "upscale"]
