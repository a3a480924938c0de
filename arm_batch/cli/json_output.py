"""Results as JSON on stdout."""

from __future__ import annotations

import json

from arm_batch.core.json_records import to_builtins


def as_json(found: object) -> str:
    """A record, or what holds some, as JSON for people and their tools."""
    return json.dumps(to_builtins(found), indent=1)
