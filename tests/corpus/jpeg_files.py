"""JPEG."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from PIL import Image

from arm_batch.core.arrays import Pixels
from tests.corpus.case import BROKEN, CMYK_BY_PROFILE, PLAIN_CMYK, WRONG, Sound, Upscaled
from tests.corpus.scenes import CMYK, GREY, INKS, MORE, RGB, by_inks, paper, patch, upright
from tests.image_files import GREY_GAMMA, SRGB, WIDE, exif, opencv, saved

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF/></x:xmpmeta>'


ARITHMETIC = base64.b85decode(
    "|JeWF01!$>Nk#wx0RR9200961|JwjV00RO70|EjA0|NsD0|NvF2n7WM1O*BQ2L=cX3JeSj3JVJj4iXRz4iOFu3lJ6%5fc;@6%`B*"
    "7Z?^47!ni}6#vNp3kU!q051Un5di<p00saM5C#9*00;pA002J#^{K70Kl}2vJ)qM8Y!zT<pTH4=`H5m*O(<>^k8{uz87v+fD9q~U"
    "w}t{M6^L}GsqRDm=zxRnP*eWSiekTl2CRo6IR4g)?-5;_+H>2M=icVb4HR@p4nmRZl?-Gs&<DX^%Y>)1D$Lr&rQf@^yBkvg`m2)3"
    "f!I&Eazl+{g}{`}BF~k<Hdk2sc;){9PkK&(-GghFf2_7+<gD1ZvB(GnSQX;_(iaO8o^~M}sMb^OeV3W*GJ5?6EsYod092N865Ml5"
    "-)vrA$=XYNDz%<oL@w4g1g}z}UB5W+^KqULkvxu~K57YJ_`J|@jbZoc4*_PYAp~yeRD`ZPuPU6~<4{e>&?;UaEVCaPi}|)<8I;if"
    "*#"
)
"""`GREY` in the coding that no library at hand is asked for: by libjpeg with ``arith_code``, of quality 90."""


def jpeg(pixels: Pixels | Image.Image, **options: object) -> bytes:
    """By Pillow, well."""
    return saved(pixels, "JPEG", **({"quality": 98, "subsampling": 0} | options))


def ycck(inks: Pixels) -> bytes:
    """As Adobe stores CMYK: inverted, and the first three as YCbCr of what is not inverted."""
    luma_first = cv2.cvtColor(inks[..., :3], cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    # Pillow inverts all four.
    data = jpeg(Image.fromarray(np.dstack([255 - luma_first, inks[..., 3]]), "CMYK"))
    place = data.find(b"Adobe") + 11
    return data[:place] + b"\2" + data[place + 1 :]


SOUND: Sound = {
    "rgb": (jpeg(RGB), RGB),
    "grey": (jpeg(GREY), GREY),
    "422": (jpeg(RGB, subsampling=1), RGB),
    "420": (jpeg(RGB, subsampling=2), RGB),
    "411": (
        opencv(".jpg", RGB, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411),
        Upscaled(RGB, "jpeg", within=6),
    ),
    "440": (opencv(".jpg", RGB, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440), RGB),
    "arithmetic": (ARITHMETIC, GREY),
    "progressive": (jpeg(RGB, progressive=True), RGB),
    "optimized": (jpeg(RGB, optimize=True), RGB),
    "restarts": (jpeg(RGB, restart_marker_blocks=2), RGB),
    "rgb-stored": (jpeg(RGB, keep_rgb=True), RGB),
    "srgb": (jpeg(RGB, icc_profile=SRGB), Upscaled(RGB, "jpeg", icc=SRGB)),
    "wide": (jpeg(RGB, icc_profile=WIDE, exif=exif(maker="M"), xmp=XMP), Upscaled(RGB, "jpeg", icc=WIDE)),
    "grey-profile": (jpeg(GREY, icc_profile=GREY_GAMMA), Upscaled(GREY, "jpeg", icc=GREY_GAMMA)),
    "wrong-profile": (jpeg(GREY, icc_profile=SRGB), Upscaled(GREY, "jpeg", (WRONG.format("RGB"),))),
    "broken-profile": (jpeg(RGB, icc_profile=WIDE[:300]), Upscaled(RGB, "jpeg", (BROKEN,))),
    "cmyk": (jpeg(Image.fromarray(CMYK, "CMYK")), Upscaled(paper(CMYK), "jpeg", (PLAIN_CMYK,))),
    "cmyk-profile": (
        jpeg(Image.fromarray(CMYK, "CMYK"), icc_profile=INKS),
        Upscaled(by_inks(CMYK), "jpeg", (CMYK_BY_PROFILE,)),
    ),
    "ycck": (ycck(CMYK), Upscaled(paper(CMYK), "jpeg", (PLAIN_CMYK,))),
    "dpi": (jpeg(RGB, dpi=(300, 300)), RGB),
    "comment": (jpeg(RGB, comment=b"said"), RGB),
    "phone": (saved(RGB, "MPO", save_all=True, append_images=[Image.fromarray(MORE)], quality=98), RGB),
    "trailing": (jpeg(RGB) + b"more than there should be", RGB),
    "odd-bytes-between": (jpeg(RGB).replace(b"\xff\xdb", b"\0\0\xff\xdb", 1), RGB),
    **{f"orientation-{n}": (jpeg(RGB, exif=exif(orientation=n)), upright(n)) for n in range(1, 9)},
    **{f"{w}x{h}": (jpeg(patch(w, h)), patch(w, h)) for w, h in ((1, 1), (40, 1), (1, 40), (33, 32))},
}
