"""Swatch files: bytes as they are stored, proved to be the ones that were meant; and JPEG, PNG or
WebP bytes to pixels, however broken or large they claim to be.
"""

import hashlib
import struct
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import NotFound, SwatchUnreadable
from models.storage import Storage

MAX_PIXELS = 40_000_000


def stored_swatch(storage: Storage, key: str, sha256: str | None) -> bytes:
    """The bytes under a key if they are those of this hash. Raises SwatchUnreadable, never takes
    another cloth, and StorageError."""
    try:
        content = storage.get(key)
    except NotFound:
        raise SwatchUnreadable("La muestra de la tela ya no está guardada.") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise SwatchUnreadable("La muestra guardada no es la que se pidió.")
    return content


def levels_of(data: bytes) -> NDArray[np.uint8]:
    """Decode to 8-bit BGR, upright as the camera was held. Raises SwatchUnreadable.

    Memory is bounded: the size is read before anything is decoded.
    """
    size = _declared_size(data)
    if size is None:
        raise SwatchUnreadable("La muestra no es una imagen JPEG, PNG o WebP.")
    if size[0] * size[1] > MAX_PIXELS:
        raise SwatchUnreadable("La muestra es demasiado grande: el máximo son 40 megapíxeles.")
    try:
        levels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        levels = None
    if levels is None:
        raise SwatchUnreadable("La imagen de la muestra está dañada y no se puede leer.")
    return np.asarray(levels, np.uint8)


def _declared_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a PNG, JPEG or WebP header names; None for anything else."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", data, 16)
            return width, height
        if data.startswith(b"\xff\xd8"):
            return next(_jpeg_frames(data), None)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_size(data)
    except (struct.error, IndexError):
        return None  # the header is cut off
    return None


def _jpeg_frames(data: bytes) -> Iterator[tuple[int, int]]:
    """Sizes in the frame headers (SOF) of a JPEG; ITU-T T.81, B.2.2."""
    at = 2
    while True:
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            yield width, height
        if marker == 0xDA:  # the picture itself begins: no frame header before it
            return
        at += 2 + length


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Size from the first chunk: lossy, lossless or extended (RFC 9649)."""
    match data[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = struct.unpack_from("<I", data, 21)[0]
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            low, high = data[24:27], data[27:30]
            return int.from_bytes(low, "little") + 1, int.from_bytes(high, "little") + 1
    return None
