"""The surface of a cloth: what light it sends back beside its colour, and how widely.

A woven tile tells it in its own PNG, so that it travels wherever the tile goes, under its hash.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEYWORD = b"Surface"  # of a tEXt chunk (PNG, third edition, 11.3.3)
_TEXT = re.compile(rb"sheen (0(?:\.\d+)?|1) roughness (0\.\d+|1)")


@dataclass(frozen=True)
class Surface:
    """`sheen`: how bright the gleam is at its brightest, 0 none to 1 satin; `roughness`: how wide,
    in the sense of the microfacet models, from 0.3 satin to 1 felt."""

    sheen: float
    roughness: float


ASSUMED = Surface(sheen=0.15, roughness=0.5)  # a plain worsted: of cloth that tells nothing


def labelled(png: bytes, surface: Surface) -> bytes:
    """A PNG file that tells its surface."""
    text = f"sheen {surface.sheen:g} roughness {surface.roughness:g}".encode()
    body = b"tEXt" + KEYWORD + b"\0" + text
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    header_end = len(SIGNATURE) + 25  # IHDR comes first and is 13 bytes, with 12 around them
    return png[:header_end] + chunk + png[header_end:]


def surface_of(data: bytes) -> Surface:
    """What an image file tells of its surface; ASSUMED where it tells nothing."""
    for kind, content in _chunks(data):
        keyword, _, text = content.partition(b"\0")
        if kind == b"tEXt" and keyword == KEYWORD and (told := _TEXT.fullmatch(text)):
            return Surface(float(told[1]), float(told[2]))
    return ASSUMED


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG before its pixels; none of another file."""
    at = len(SIGNATURE) if data.startswith(SIGNATURE) else len(data)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            return
        yield kind, data[at + 8 : at + 8 + length]
        at += length + 12
