"""``arm-batch upscale`` for ``ray job submit``: the same options, with --input and --output by name.

ray job submit --working-dir . -- python jobs/upscale_dataset.py --input s3://... --output s3://... --budget 40%
"""

from __future__ import annotations

import argparse
import sys

from arm_batch.cli import main


def to_command_line(arguments: list[str]) -> list[str]:
    """Put the values of --input and --output where ``arm-batch upscale`` takes them."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        usage="%(prog)s --input INPUT --output OUTPUT [OPTIONS]",
        epilog="All other options are those of `arm-batch upscale`; see `arm-batch upscale --help`.",
    )
    parser.add_argument(
        "--input", required=True, help="folder, s3:// prefix, image, Parquet dataset or list of images"
    )
    parser.add_argument("--output", required=True, help="folder or s3:// prefix; new or of this same run")
    known, options = parser.parse_known_args(arguments)
    return ["upscale", *options, "--", known.input, known.output]


if __name__ == "__main__":
    main(to_command_line(sys.argv[1:]))
