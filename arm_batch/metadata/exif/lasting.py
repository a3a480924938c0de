"""What of EXIF still holds for the picture that is written, and how it changes with the pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from arm_batch.metadata.exif.maker_notes import can_move
from arm_batch.metadata.exif.tags import (
    DETAILS,
    INTEROP,
    MAKER_NOTE,
    PLACE,
    Entry,
    Exif,
    Tags,
    fraction_entry,
    number_entry,
    swapped,
    text_entry,
    times,
)

_WIDTH, _HEIGHT = (DETAILS, 0xA002), (DETAILS, 0xA003)
_RELATED_WIDTH, _RELATED_HEIGHT = (DETAILS, INTEROP, 0x1001), (DETAILS, INTEROP, 0x1002)
ORIENTATION, _ACROSS, _DOWN, _UNIT = 0x0112, 0x011A, 0x011B, 0x0128
_FOCAL_ACROSS, _FOCAL_DOWN = (DETAILS, 0xA20E), (DETAILS, 0xA20F)
_AREAS = ((DETAILS, 0x9214), (DETAILS, 0xA214))
"""Of the subject: its centre, and then what it measures."""

_COLOURS, _COLOUR_SPACE, _GAMMA = (0x012D, 0x013E, 0x013F), (DETAILS, 0xA001), (DETAILS, 0xA500)
_AGREED = (DETAILS, INTEROP, 0x0001)
_SRGB, _BASIC = 1, b"R98"

_POINTING = frozenset(
    {
        *(0x0100, 0x0101, 0x0112, 0x0111, 0x0117, 0x0120, 0x0121, 0x0144, 0x0145, 0x014A, 0x015B),  # size, samples
        *(*range(0x0200, 0x020A), 0x02BC, 0x83BB, 0x8649, 0x8773),  # thumbnail, other metadata
    }
)
"""Of the main directory: size and turning, what points to samples, and what is kept by other ways, or not."""

_STORAGE = _POINTING | {
    *(0x00FE, 0x00FF, 0x0102, 0x0103, 0x0106, 0x0107, 0x0108, 0x0109, 0x010A, 0x0115, 0x0116, 0x0118, 0x0119),
    *(0x011C, 0x0122, 0x0123, 0x0124, 0x0125, 0x013D, *range(0x0140, 0x015C), 0x0211, 0x0212, 0x0214),
    *range(0xC612, 0xCE00),
}
"""Beside that, how the samples of a TIFF file are stored, and what makes it a raw one."""

_DESCRIBING = frozenset(
    {
        *(0x010D, 0x010E, 0x010F, 0x0110, 0x011D, 0x0131, 0x0132, 0x013B, 0x013C, 0x8298),  # what, when, by whom
        *(0x4746, 0x4749, *range(0x9C9B, 0x9CA0)),  # ratings, and what Windows has users write
        *(_ACROSS, _DOWN, _UNIT, DETAILS, PLACE),
    }
)
"""Of the main directory of a TIFF file: there the rest may tell of this very file and its samples."""

WANTED_OF_TIFF = _DESCRIBING | {ORIENTATION, *_COLOURS}
"""What is to be read of the main directory of a TIFF file."""

_NUMBERS = (3, 4, 5, 8, 9, 10, 11, 12)
"""Kinds of values that are numbers and no bytes."""

_INCH = 2
_INCHES_PER_UNIT = {_INCH: 1.0, 3: 2.54}


def orientation_of(exif: Exif) -> int:
    """1..8; 1, upright, for what makes no sense."""
    value = exif.floats(ORIENTATION)
    return int(value[0]) if value and value[0] in range(1, 9) else 1


def dpi_of(exif: Exif) -> tuple[float, float] | None:
    """Pixels per inch across and down, ``None`` where not told."""
    inches = _INCHES_PER_UNIT.get(int((exif.floats(_UNIT) or [_INCH])[0]))
    across, down = exif.floats(_ACROSS), exif.floats(_DOWN)
    if inches is None or not across or not down:
        return None
    return plausible_dpi(across[0] * inches, down[0] * inches)


def plausible_dpi(across: float, down: float) -> tuple[float, float] | None:
    """The two as they are, or ``None`` where they say nothing."""
    return (across, down) if 1 < across < 1e5 and 1 < down < 1e5 else None


def lasting(exif: Exif, of_tiff: bool, notes: list[str]) -> Exif:
    """Without size, turning, thumbnails and what points to samples; what is lost beside that is told.

    Args:
        exif: as it was read.
        of_tiff: whether it is the main directory of a TIFF file.
        notes: for the user.
    """
    exif = _without_odd_resolution(exif)
    if exif.lost:
        notes.append(f"its EXIF is damaged: what could not be read is left out ({exif.lost})")
    if of_tiff:
        return _settled(_only(exif, _DESCRIBING.__contains__), notes)
    return _only(exif, lambda tag: tag not in _POINTING)


def _without_odd_resolution(exif: Exif) -> Exif:
    """Some programs refuse a whole file where it is not one number."""
    entries = {tag: exif.entry(tag) for tag in (_ACROSS, _DOWN, _UNIT)}
    odd = [tag for tag, entry in entries.items() if entry and (entry.count != 1 or entry.kind not in _NUMBERS)]
    return replace(_with(exif, {(tag,): None for tag in odd}), lost=exif.lost + len(odd))


def for_tiff(exif: Exif, notes: list[str]) -> Exif:
    """What can go into the main directory of a TIFF file; what is lost is told."""
    return _settled(_only(exif, lambda tag: tag not in _STORAGE), notes)


def _only(exif: Exif, keeps: Callable[[int], bool]) -> Exif:
    return replace(exif, tags={tag: value for tag, value in exif.tags.items() if keeps(tag)}, lost=0)


def _settled(exif: Exif, notes: list[str]) -> Exif:
    """With nothing in it that must stay where it was."""
    note = exif.entry(DETAILS, MAKER_NOTE)
    if note is None:
        return exif
    if can_move(note.data, exif.order, note.at):
        return replace(_with(exif, {(DETAILS, MAKER_NOTE): replace(note, at=None)}), pins=())
    notes.append("its maker notes are left out: they could not be read elsewhere than where they were")
    return without_note(exif)


def without_note(exif: Exif) -> Exif:
    """Without maker notes."""
    return replace(_with(exif, {(DETAILS, MAKER_NOTE): None}), pins=())


def turned(exif: Exif, orientation: int, width: int, height: int) -> Exif:
    """For pixels that were turned upright.

    Args:
        exif: of the picture.
        orientation: that has been applied.
        width: before that, px.
        height: likewise.
    """
    transposed = orientation >= 5
    new: dict[tuple[int, ...], Entry | None] = {(ORIENTATION,): None}
    pairs = [((_ACROSS,), (_DOWN,)), (_FOCAL_ACROSS, _FOCAL_DOWN), (_WIDTH, _HEIGHT)]
    for across, down in [*pairs, (_RELATED_WIDTH, _RELATED_HEIGHT)] if transposed else []:
        new |= {across: exif.entry(*down), down: exif.entry(*across)}
    for path in _AREAS if orientation != 1 else []:
        area = _area(exif, path, width, height)
        if area:
            x, y, *sides = area
            x = width - 1 - x if orientation in (2, 3, 7, 8) else x
            y = height - 1 - y if orientation in (3, 4, 6, 7) else y
            place = [y, x, *sides[::-1]] if transposed else [x, y, *sides]
            new[path] = number_entry(exif.order, place)
    return _with(exif, new)


def enlarged(exif: Exif, scale: int, width: int, height: int) -> Exif:
    """For a picture that was enlarged: what counts pixels counts those of the output.

    Args:
        exif: of the picture.
        scale: how many times each side.
        width: of the output, px.
        height: likewise.
    """
    new: dict[tuple[int, ...], Entry | None] = {}
    for path, side in ((_WIDTH, width), (_HEIGHT, height), (_RELATED_WIDTH, width), (_RELATED_HEIGHT, height)):
        if exif.entry(*path) is not None:
            new[path] = number_entry(exif.order, [side])
    for path in (_FOCAL_ACROSS, _FOCAL_DOWN):
        new[path] = times(exif, scale, *path)
    for path in _AREAS:
        area = _area(exif, path, width // scale, height // scale)
        if area:
            new[path] = number_entry(exif.order, [value * scale for value in area])
    return _with(exif, new)


def with_dpi(exif: Exif, across: tuple[int, int], down: tuple[int, int]) -> Exif:
    """With pixels per inch, as fractions."""
    new: dict[tuple[int, ...], Entry | None] = {(_ACROSS,): fraction_entry(exif.order, [across])}
    new |= {(_DOWN,): fraction_entry(exif.order, [down]), (_UNIT,): number_entry(exif.order, [_INCH])}
    return _with(exif, new)


def with_orientation(exif: Exif, orientation: int) -> Exif:
    """For a picture that viewers are to turn, 1..8."""
    return _with(exif, {(ORIENTATION,): number_entry(exif.order, [orientation])})


def with_tags_of(exif: Exif, other: Exif | None) -> Exif:
    """With the tags of another main directory too."""
    if other is None:
        return exif
    return replace(exif, tags=exif.tags | (other.tags if other.order == exif.order else swapped(other.tags)))


def as_srgb(exif: Exif) -> Exif:
    """For colours that became sRGB: EXIF must not say otherwise."""
    new: dict[tuple[int, ...], Entry | None] = {(tag,): None for tag in _COLOURS}
    new[_GAMMA] = None
    if exif.entry(*_COLOUR_SPACE) is not None:
        new[_COLOUR_SPACE] = number_entry(exif.order, [_SRGB])
    if exif.entry(*_AGREED) is not None:
        new[_AGREED] = text_entry(_BASIC)
    return _with(exif, new)


def _area(exif: Exif, path: tuple[int, ...], width: int, height: int) -> list[int]:
    """Of the subject, px; nothing where that lies outside of the picture: then it counts other pixels."""
    area = [int(value) for value in exif.floats(*path)]
    inside = 2 <= len(area) <= 4 and 0 <= area[0] < width and 0 <= area[1] < height and min(area) >= 0
    return area if inside else []


def _with(exif: Exif, new: dict[tuple[int, ...], Entry | None]) -> Exif:
    """With other values of some tags, by the tags on the way; None takes a tag away."""
    tags = exif.tags
    for path, entry in new.items():
        tags = _put(tags, path, entry)
    return replace(exif, tags=tags)


def _put(tags: Tags, path: tuple[int, ...], entry: Entry | None) -> Tags:
    tag, *rest = path
    value: Entry | Tags | None = entry
    if rest:
        inner = tags.get(tag)
        value = _put(inner if isinstance(inner, dict) else {}, tuple(rest), entry) or None
    without = {other: kept for other, kept in tags.items() if other != tag}
    return without if value is None else without | {tag: value}
