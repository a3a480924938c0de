"""What of XMP still holds for the picture that is written, and how it changes with the pixels.

A packet is edited as text, so that all else in it stays as its writer put it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_XMLNS = re.compile(rb"xmlns:([\w.-]+)\s*=\s*[\"']([^\"']*)[\"']")

_NAMES = {
    b"tiff": b"http://ns.adobe.com/tiff/1.0/",
    b"exif": b"http://ns.adobe.com/exif/1.0/",
    b"xmp": b"http://ns.adobe.com/xap/1.0/",
    b"photoshop": b"http://ns.adobe.com/photoshop/1.0/",
    b"GPano": b"http://ns.google.com/photos/1.0/panorama/",
    b"GCamera": b"http://ns.google.com/photos/1.0/camera/",
    b"Container": b"http://ns.google.com/photos/1.0/container/",
    b"GDepth": b"http://ns.google.com/photos/1.0/depthmap/",
    b"GImage": b"http://ns.google.com/photos/1.0/image/",
    b"GAudio": b"http://ns.google.com/photos/1.0/audio/",
    b"Device": b"http://ns.google.com/photos/dd/1.0/device/",
    b"hdrgm": b"http://ns.adobe.com/hdr-gain-map/1.0/",
    b"HDRGainMap": b"http://ns.apple.com/HDRGainMap/1.0/",
    b"xmpNote": b"http://ns.adobe.com/xmp/note/",
    b"stDim": b"http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    b"drone-dji": b"http://www.dji.com/drone-dji/1.0/",
}
"""Namespaces by their usual prefixes. A packet may call them otherwise."""

_Rules = tuple[tuple[bytes, bytes], ...]
"""Namespaces by their usual prefixes, and patterns of names in them."""


def _rules(written: bytes) -> _Rules:
    """Each is a prefix and a pattern with a colon between, and blanks around."""
    parted = (rule.partition(b":") for rule in written.split())
    return tuple((prefix, name) for prefix, _, name in parted)


_SIZES = _rules(rb"tiff:Orientation|ImageWidth|ImageLength exif:Pixel[XY]Dimension")
_THUMBNAILS = _rules(rb"xmp:Thumbnails")
_FURTHER = _rules(
    rb"hdrgm:[\w-]+ HDRGainMap:[\w-]+ GCamera:(?:MotionPhoto|MicroVideo)\w* Container:[\w-]+"
    rb" GDepth:[\w-]+ GImage:[\w-]+ GAudio:[\w-]+ Device:[\w-]+ xmpNote:HasExtendedXMP"
)
"""What tells of further pictures, videos and packets in the file, none of which come along."""

_LENS = _rules(rb"drone-dji:DewarpData|DewarpFlag")
"""Of a drone: how to straighten its pictures, in pixels and in a form of its own."""

_COUNTED = _rules(
    rb"GPano:CroppedArea\w+|FullPano\w+|LargestValidInteriorRect\w+ exif:FocalPlane[XY]Resolution stDim:[wh]"
    rb" drone-dji:CalibratedFocalLength|CalibratedOpticalCenter[XY]"
)
"""What counts pixels."""

_OF_COLOURS = _rules(rb"photoshop:ICCProfile exif:Gamma")
_COLOUR_SPACE = _rules(rb"exif:ColorSpace")

_NUMBER = re.compile(rb"\s*(\d+)(\.\d*)?(/\d+)?\s*")


def orientation_of_xmp(packet: bytes) -> int:
    """1..8; 1, upright, where it does not say or makes no sense."""
    for prefix in _prefixes(packet, b"tiff"):
        found = re.search(re.escape(prefix) + rb":Orientation\s*(?:=\s*[\"']|>)\s*([1-8])\s*[\"'<]", packet)
        if found:
            return int(found[1])
    return 1


def lasting_xmp(packet: bytes, notes: list[str]) -> bytes:
    """The packet without orientation, sizes, thumbnails, and what points to parts of the file that are gone.

    Args:
        packet: as it was read.
        notes: for the user: what goes beside sizes and thumbnails is told.
    """
    packet = _without(_without(packet, _SIZES), _THUMBNAILS)
    for rules, told in (
        (
            _FURTHER,
            "its XMP told of further pictures or data in the file (gain map, video, depth): left out with them",
        ),
        (_LENS, "its XMP told how to straighten the lens, in pixels: left out"),
    ):
        shorter = _without(packet, rules)
        if shorter != packet:
            notes.append(told)
        packet = shorter
    return packet


def enlarged_xmp(packet: bytes, scale: int) -> bytes:
    """For a picture whose sides became `scale` times as long: what counts pixels counts those of the output."""

    def times(value: bytes) -> bytes:
        number = _NUMBER.fullmatch(value)
        if number is None:
            return value
        whole, decimals, divided = number.groups()
        if decimals is None:
            return b"%d%s" % (int(whole) * scale, divided or b"")
        return repr(float(whole + decimals) * scale).encode() + (divided or b"")

    return _changed(packet, _COUNTED, times)


def srgb_xmp(packet: bytes) -> bytes:
    """For colours that became sRGB: XMP must not say otherwise."""
    return _changed(_without(packet, _OF_COLOURS), _COLOUR_SPACE, lambda _: b"1")


def _prefixes(packet: bytes, usual: bytes) -> list[bytes]:
    """What a packet calls a namespace."""
    called = {prefix for prefix, name in _XMLNS.findall(packet) if name == _NAMES[usual]}
    return sorted(called) or [usual]


def _without(packet: bytes, rules: _Rules) -> bytes:
    for usual, name in rules:
        for prefix in _prefixes(packet, usual):
            full = rb"%s:(?:%s)" % (re.escape(prefix), name)
            pattern = (
                rb"\s%(full)s\s*=\s*(?:\"[^\"]*\"|'[^']*')"
                rb"|<(%(full)s)(?:\s[^>]*)?(?:/>|(?<!/)>.*?</\1\s*>)" % {b"full": full}
            )
            packet = re.sub(pattern, b"", packet, flags=re.DOTALL)
    return packet


def _changed(packet: bytes, rules: _Rules, change: Callable[[bytes], bytes]) -> bytes:
    """With other values of simple properties."""
    for usual, name in rules:
        for prefix in _prefixes(packet, usual):
            full = rb"%s:(?:%s)" % (re.escape(prefix), name)
            pattern = rb"(\s%(full)s\s*=\s*[\"']|<%(full)s(?:\s[^>]*)?>)([^\"'<]*)" % {b"full": full}
            packet = re.sub(pattern, lambda found: found[1] + change(found[2]), packet)
    return packet
