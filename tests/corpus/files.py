"""All sound files, by the path that they have in the archive."""

from __future__ import annotations

from tests.corpus import jpeg_files, other_files, png_files, tiff_files
from tests.corpus.case import Case, Failed, Sound, Upscaled


def _cases(folder: str, extension: str, format: str, files: Sound) -> dict[str, Case]:
    cases = {}
    for name, (data, shown) in files.items():
        outcome = shown if isinstance(shown, (Upscaled, Failed)) else Upscaled(shown, format)
        cases[f"{folder}/{name}{extension}"] = Case(bytes(data), outcome)
    return cases


SOUND = {
    **_cases("png", ".png", "png", png_files.SOUND),
    **_cases("jpeg", ".jpg", "jpeg", jpeg_files.SOUND),
    **_cases("tiff", ".tif", "tiff", tiff_files.SOUND),
    **_cases("other", "", "png", other_files.SOUND),
}
