"""arm_batch: upscale image archives on Ray within an exact compute budget."""

from arm_batch.store.dataset import open_dataset

__all__ = ["open_dataset"]
