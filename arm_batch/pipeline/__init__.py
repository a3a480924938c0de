"""The main job: list, plan, allocate, run, commit, finish; each step from where an earlier attempt left it."""

from __future__ import annotations

from arm_batch.pipeline.main import upscale

__all__ = ["upscale"]
