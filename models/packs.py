"""Uploaded look packs as they are stored: one object, a ZIP of our own making, named by its hash.

The same files always give the same bytes: entries by name, without times, not compressed again.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from uuid import UUID

PREFIX = "looks/"
CONTENT_TYPE = "application/zip"
PACK_MAX_BYTES = 40_000_000  # of all files together; a pack of 2048 × 3072 pixels has some 5 MB
PIXELS_MAX = 8_000_000  # of the picture: that much is draped in a quarter of a second


def bundled(files: Mapping[str, bytes]) -> bytes:
    """One object of these files, by their names."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as bundle:
        for name in sorted(files):
            bundle.writestr(zipfile.ZipInfo(name), files[name])
    return out.getvalue()


def unbundled(content: bytes) -> dict[str, bytes]:
    """The files of a bundle whose hash was verified."""
    with zipfile.ZipFile(io.BytesIO(content)) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def version_of(files: Mapping[str, bytes]) -> str:
    """A pack's version: first 16 hex of the SHA-256 over the PNG files of its top folder, name,
    NUL, bytes."""
    digest = hashlib.sha256()
    for name in sorted(name for name in files if name.endswith(".png") and "/" not in name):
        digest.update(name.encode() + b"\0" + files[name])
    return digest.hexdigest()[:16]


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def bundle_key(upload_id: UUID, name: str, sha256: str) -> str:
    """Where a bundle of an upload is stored: no two uploads share an object."""
    return f"{PREFIX}{upload_id}/{name}-{sha256[:16]}.zip"
