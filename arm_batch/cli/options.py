"""Options and their values that more than one command takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arm_batch.cli.progress import Log
from arm_batch.core.allocation.measures import Objective
from arm_batch.errors import UsageError
from arm_batch.spec import ExecutorName, PrecisionWish, RuntimeWish

if TYPE_CHECKING:
    from arm_batch.models.backbones.registry import Backbone

INPUT, OUTPUT, BUDGET = "Input: which images", "Output: what is written", "Budget: what may be spent"
IMAGES, CLUSTER, RESUME = "Images: how they are read", "Cluster: what runs it", "Resume: going on with OUTPUT"
TERMINAL = "Terminal: what is shown"
"""Panels of ``--help``."""

Input = Annotated[
    str,
    typer.Argument(
        metavar="INPUT", help="Folder, s3:// prefix, image, tar file, Parquet dataset, or a list of images."
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(help="Take only images whose paths match this pattern. Repeatable.", rich_help_panel=INPUT),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(help="Leave out images whose paths match this pattern. Repeatable.", rich_help_panel=INPUT),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Take at most N images, the first by path.", rich_help_panel=INPUT),
]
MinSize = Annotated[
    str | None,
    typer.Option(help="Leave out files of fewer bytes, such as 20KB.", show_default=False, rich_help_panel=INPUT),
]
SkipLargerThan = Annotated[
    str | None,
    typer.Option(help="Leave out files of more bytes, such as 500MB.", show_default=False, rich_help_panel=INPUT),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed that the sample is drawn with.", rich_help_panel=INPUT)]

Dedup = Annotated[
    bool,
    typer.Option(
        "--dedup", help="Upscale files of equal bytes once; the others get the same output.", rich_help_panel=INPUT
    ),
]

FormatOption = Annotated[
    str,
    typer.Option(
        help="Write png, jpeg, webp, tiff or avif. With auto each image keeps the kind of its own format.",
        rich_help_panel=OUTPUT,
    ),
]

MaxPixelsOption = Annotated[
    int, typer.Option(min=1, help="Refuse images of more pixels; their rows fail.", rich_help_panel=IMAGES)
]

ToSrgbOption = Annotated[
    bool,
    typer.Option(
        "--to-srgb", help="Convert colours to sRGB, instead of keeping the profile.", rich_help_panel=IMAGES
    ),
]

FloatRangeOption = Annotated[
    str | None,
    typer.Option(
        metavar="LOW,HIGH",
        help="Values of black and white, for images of floats or of 32 bits.",
        rich_help_panel=IMAGES,
    ),
]

FramesOption = Annotated[
    str,
    typer.Option(
        help="Frame or page to take of several: first, a number from 0, or refuse such files.",
        rich_help_panel=IMAGES,
    ),
]

ImageColumnOption = Annotated[
    str | None,
    typer.Option(
        help="Column that holds the images, for Parquet files where several could.",
        show_default=False,
        rich_help_panel=INPUT,
    ),
]

ScaleOption = Annotated[
    int | None,
    typer.Option("--scale", "-s", help="Upscaling factor. Default: the ladder's, or 4.", rich_help_panel=BUDGET),
]

LadderOption = Annotated[
    str | None,
    typer.Option(
        "--ladder",
        "-l",
        help="Ladder of nets: a shipped name or a folder with a ladder.json. Default: the one of the scale.",
        rich_help_panel=BUDGET,
    ),
]

ObjectiveOption = Annotated[
    Objective,
    typer.Option(
        help="Quality to maximise: mean PSNR of images (image-psnr) or tiles (psnr), or pooled error (mse).",
        rich_help_panel=BUDGET,
    ),
]

ExecutorOption = Annotated[
    ExecutorName,
    typer.Option(
        help="Run on ray; inline, in this process and helpers on all cores; or auto: ray where a cluster is named "
        "or a GPU is here, else inline.",
        rich_help_panel=CLUSTER,
    ),
]

WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of CPU actors, or of processes without Ray. Default: one per core.",
        rich_help_panel=CLUSTER,
    ),
]

RuntimeOption = Annotated[
    RuntimeWish,
    typer.Option(
        help="Library that runs nets on CPUs. With auto the faster one is measured when a run begins.",
        rich_help_panel=CLUSTER,
    ),
]

PrecisionOption = Annotated[
    PrecisionWish,
    typer.Option(
        help="Precision of nets. With auto bf16, where every machine multiplies it, no subnet of the ladder loses "
        "0.02 dB by it, and it is faster.",
        rich_help_panel=CLUSTER,
    ),
]

EndpointUrlOption = Annotated[
    str | None,
    typer.Option(help="URL of an S3-compatible service other than AWS.", rich_help_panel=CLUSTER),
]


LogOption = Annotated[
    Log,
    typer.Option(
        help="Show progress live on a terminal, else in a line every 30 s (text); or in lines of JSON. On stderr.",
        rich_help_panel=TERMINAL,
    ),
]

QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Show errors alone.", rich_help_panel=TERMINAL),
]

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON, on stdout.", rich_help_panel=TERMINAL)
]


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
