"""The world file that an output gets."""

from __future__ import annotations

from arm_batch.execution.messages import JobContext
from arm_batch.inputs.world_files import enlarged_world, parse_world, read_world, world_name, world_text
from arm_batch.metadata import Metadata
from arm_batch.metadata.geotiff import affine
from arm_batch.runstate.rows import StoredImage
from arm_batch.runstate.shard_plan import ImagePlan

Sidecar = tuple[StoredImage | None, tuple[str, ...]]
"""The file, if there is to be one, and notes for the user."""

LEFT_OUT = "its world file is left out: with --sink files it would lie beside the output"


def world_sidecar(context: JobContext, image: ImagePlan, metadata: Metadata, is_file: bool) -> Sidecar:
    """From the one beside the input, else from the georeference of an input whose output can hold none.

    Args:
        context: of the run.
        image: its plan.
        metadata: of the output.
        is_file: whether the output is a file of its own.
    """
    text = None
    if image.entry.row is None and image.entry.offset is None:
        text = read_world(context.source.store, image.entry.key)
    if text is not None:
        world = parse_world(text)
        if world is None:
            return None, ("its world file cannot be read and is left out",)
        world = enlarged_world(world, context.ladder.scale)
    elif metadata.geo is not None and image.format != "tiff" and (found := affine(metadata.geo)) is not None:
        world = found
    else:
        return None, ()
    if not is_file:
        return None, () if text is None else (LEFT_OUT,)
    name = world_name(image.output)
    return StoredImage(world_text(world), name), () if text is not None else (f"where it lies says {name}",)
