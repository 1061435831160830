"""PNG files looked at from outside: what the header says, and that nothing of the file is missing.

Pixels are for workers; this tells a merchandiser at once what a worker would find out later.
"""

import struct
import zlib
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2  # colour types


@dataclass(frozen=True)
class Header:
    """Of the first chunk, IHDR."""

    width_px: int
    height_px: int
    bits: int
    colour: int


def header(content: bytes) -> Header | None:
    """None for what is no PNG, or is cut off, or has a chunk that does not match its checksum."""
    if not content.startswith(SIGNATURE) or content[12:16] != b"IHDR" or not _is_whole(content):
        return None
    width_px, height_px, bits, colour = struct.unpack_from(">IIBB", content, 16)
    return Header(width_px, height_px, bits, colour)


def _is_whole(content: bytes) -> bool:
    """Chunks of length, type, data and CRC, one after the other up to IEND (RFC 2083, 3.2)."""
    at, view = len(SIGNATURE), memoryview(content)
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        end = at + 12 + length
        if end > len(content):
            return False
        (crc,) = struct.unpack_from(">I", content, end - 4)
        if zlib.crc32(view[at + 4 : end - 4]) != crc:
            return False
        if content[at + 4 : at + 8] == b"IEND":
            return True
        at = end
    return False
