"""Looks for tests of uploads: a look of the house in small, as the files of a pack or a photo."""

import io
import json
import zipfile
from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import UUID

import cv2
import numpy as np

from models import look_uploads, packs
from models.base import uuid7
from models.database import transaction
from models.look_uploads import LookLetter
from models.settings import ROOT
from models.storage import storage
from tests.orders import sql

CUT = "chaque"
RECTO = ROOT / "assets" / "looks" / "recto"


@cache
def small_pack(by: int = 4) -> Mapping[str, bytes]:
    """`recto` under another name, 256 × 384 px: everything with it goes 16 times faster."""
    files = {path.name: _small(path.read_bytes(), by) for path in RECTO.glob("*.png")}
    about = json.loads((RECTO / "look.json").read_text(encoding="utf-8"))
    about |= {
        "style": CUT,
        "name_es": "Chaqué",
        "size_px": [side // by for side in about["size_px"]],
        "px_per_cm": about["px_per_cm"] / by,
    }
    return sealed(files, about)


def _small(png: bytes, by: int) -> bytes:
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return cv2.imencode(".png", np.ascontiguousarray(image[by // 2 :: by, by // 2 :: by]))[
        1
    ].tobytes()


def sealed(files: Mapping[str, bytes], about: Mapping[str, Any]) -> dict[str, bytes]:
    """These pictures with a look.json of their version."""
    pictures = {name: content for name, content in files.items() if name.endswith(".png")}
    sealed = dict(about) | {"version": packs.version_of(pictures)}
    return pictures | {"look.json": json.dumps(sealed).encode()}


def about_of(files: Mapping[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files["look.json"])
    return found


def zipped(files: Mapping[str, bytes], folder: str = "") -> bytes:
    """As a merchandiser's computer makes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}{name}", content)
    return out.getvalue()


def uploaded(files: Mapping[str, bytes] | None = None, kind: Any = "pack", cut: str = CUT) -> UUID:
    """An upload that waits for a worker; returns its id."""
    id, content = uuid7(), packs.bundled(files or small_pack())
    sha256 = packs.sha256_of(content)
    letter = LookLetter(
        upload_id=id,
        cut=cut,
        name="Chaqué",
        kind=kind,
        source_key=packs.bundle_key(id, cut if kind == "pack" else "source", sha256),
        source_sha256=sha256,
    )
    storage().put(letter.source_key, content, packs.CONTENT_TYPE)
    with transaction() as session:
        look_uploads.submit(session, letter, "user:1")
    return id


def forget_uploads() -> None:
    """Uploads and the cuts that they became are gone, and their objects."""
    sql("DELETE FROM look_uploads")
    sql("DELETE FROM looks WHERE pack_key IS NOT NULL")
    for found in list(storage().list(packs.PREFIX)):
        storage().delete(found.key)
