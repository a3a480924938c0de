"""Options and their values that more than one command takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arm_batch.core.allocation.measures import Objective
from arm_batch.errors import UsageError
from arm_batch.spec import ExecutorName, RuntimeWish

if TYPE_CHECKING:
    from arm_batch.models.backbones.registry import Backbone

Input = Annotated[
    str, typer.Argument(metavar="INPUT", help="Folder, s3:// prefix, image, tar, Parquet dataset or list.")
]
Include = Annotated[
    list[str] | None, typer.Option(help="Only images whose paths match this pattern; may be repeated.")
]
Exclude = Annotated[
    list[str] | None, typer.Option(help="No images whose paths match this pattern; may be repeated.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many images, the first by path.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the sample.")]

Dedup = Annotated[
    bool, typer.Option("--dedup", help="Upscale images of the same bytes once; the others get its output.")
]

FormatOption = Annotated[
    str, typer.Option(help="auto (each image keeps the family of its own), png, jpeg, webp, tiff or avif.")
]

MaxPixelsOption = Annotated[int, typer.Option(min=1, help="Images of more pixels are failed rows.")]

ToSrgbOption = Annotated[
    bool, typer.Option("--to-srgb", help="Convert colours to sRGB; else the colour profile is kept.")
]

FloatRangeOption = Annotated[
    str | None,
    typer.Option(metavar="LOW,HIGH", help="What is black and white where samples are floats or of 32 bits."),
]

FramesOption = Annotated[
    str, typer.Option(help="Of several frames or pages: first, one by its number from 0, or refuse.")
]

ImageColumnOption = Annotated[
    str | None,
    typer.Option(help="Column of the images in Parquet files where several may be.", show_default=False),
]

ScaleOption = Annotated[int, typer.Option(help="Upscaling factor; must be the ladder's.")]

LadderOption = Annotated[str, typer.Option(help="Shipped ladder or folder with a ladder.json.")]

ObjectiveOption = Annotated[
    Objective, typer.Option(help="What to make best: PSNR of images, of tiles, or of the pooled error.")
]

ExecutorOption = Annotated[
    ExecutorName,
    typer.Option(
        help="ray; inline: this process and helpers on all cores; auto: ray where a cluster is named or a GPU "
        "is here, else inline."
    ),
]

WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="CPU actors, or processes without Ray; default: one per core.")
]

RuntimeOption = Annotated[
    RuntimeWish,
    typer.Option(help="What runs nets on CPUs: auto (the faster one when a run begins), torch or openvino."),
]

EndpointUrlOption = Annotated[str | None, typer.Option(help="S3 service other than AWS.")]


def parse_weights(text: str) -> tuple[Backbone, Path]:
    """Read ``BACKBONE=WEIGHTS``; `UsageError` when it is not that, or the backbone is unknown.

    >>> backbone, path = parse_weights("carn=out/weights.safetensors")
    >>> backbone.name, str(path)
    ('carn', 'out/weights.safetensors')
    """
    from arm_batch.models.backbones.registry import get_backbone

    name, separator, path = text.partition("=")
    if not separator or not path:
        raise UsageError(f"{text!r} must have the form BACKBONE=WEIGHTS")
    return get_backbone(name), Path(path)


def parse_reductions(text: str) -> list[int]:
    """Read whole numbers with commas, each at least 1; `UsageError` when it is not that.

    >>> parse_reductions("2,3")
    [2, 3]
    """
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) >= 1 for part in parts):
        raise UsageError(f"--reductions {text!r}: write whole numbers from 1 with commas, such as 2,3,4")
    return [int(part) for part in parts]


def parse_photographs(text: str, reductions: str) -> tuple[Path, tuple[int, ...]]:
    """Read ``FOLDER`` or ``FOLDER:REDUCTIONS``; `reductions` are those of a folder without its own.

    >>> parse_photographs("photos:1,2", "3")
    (PosixPath('photos'), (1, 2))
    >>> parse_photographs("d:/photos", "3")
    (PosixPath('d:/photos'), (3,))
    """
    folder, separator, own = text.rpartition(":")
    if separator and own.replace(",", "").isdecimal():
        return Path(folder), tuple(parse_reductions(own))
    return Path(text), tuple(parse_reductions(reductions))
