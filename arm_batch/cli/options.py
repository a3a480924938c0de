"""Option values that more than one command takes."""

from __future__ import annotations

from pathlib import Path

from arm_batch.errors import UsageError
from arm_batch.nets.registry import Backbone, get_backbone


def parse_weights(text: str) -> tuple[Backbone, Path]:
    """Read ``BACKBONE=WEIGHTS``; `UsageError` when it is not that, or the backbone is unknown.

    >>> backbone, path = parse_weights("carn=out/weights.safetensors")
    >>> backbone.name, str(path)
    ('carn', 'out/weights.safetensors')
    """
    name, separator, path = text.partition("=")
    if not separator or not path:
        raise UsageError(f"{text!r} must have the form BACKBONE=WEIGHTS")
    return get_backbone(name), Path(path)
