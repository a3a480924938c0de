"""What image files tell beside their pixels: read, written, and made to fit an enlarged picture."""

from __future__ import annotations

from arm_batch.metadata.metadata import Metadata, enlarge_metadata, exif_for

__all__ = ["Metadata", "enlarge_metadata", "exif_for"]
