"""Fill an empty database: looks, the starter catalogue with woven swatches, the first owner.

`python seed.py` is safe to run twice: it adds what is missing, keeps what a merchandiser changed,
and brings the looks to the versions of the packs in assets/.
"""

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.accounts import ensure_owner
from models.catalogue import Fabric, FabricFamily, Look
from models.database import transaction
from models.settings import ROOT, settings
from models.storage import storage
from worker.weave import load_draft, weave

ASSETS = ROOT / "assets"
OWNER_NAME = "owner"
THUMBNAIL_PX = 320


def main() -> None:
    with transaction() as session:
        seed_looks(session, ASSETS / "looks")
        ensure_owner(session, OWNER_NAME, settings().owner_password)
    for sort, family in enumerate(_catalogue(ASSETS / "catalogue.toml")):
        with transaction() as session:  # one a family: weaving takes longer than a lock should
            seed_family(session, family, sort)


def seed_looks(session: Session, folder: Path) -> None:
    """One look a pack; the cut's row follows the pack's version."""
    for sort, path in enumerate(sorted(folder.glob("*/look.json"), reverse=True)):
        pack = json.loads(path.read_text(encoding="utf-8"))
        look = session.scalar(select(Look).where(Look.cut == pack["style"]))
        if look is None:
            look = Look(cut=pack["style"], name=pack["name_es"], sort=sort)
            session.add(look)
        look.pack, look.pack_version = path.parent.name, pack["version"]
        look.width_px, look.height_px = pack["size_px"]
        look.px_per_cm = pack["px_per_cm"]


def seed_family(session: Session, entry: dict[str, Any], sort: int) -> None:
    """Add the family and those of its fabrics that are missing."""
    family = session.scalar(
        select(FabricFamily).where(FabricFamily.family_id == entry["family_id"])
    )
    if family is None:
        family = FabricFamily(
            family_id=entry["family_id"], display_name=entry["display_name"], sort=sort
        )
        session.add(family)
    wanted = [fabric["color_id"] for fabric in entry["fabric"]]
    known = session.scalars(select(Fabric.color_id).where(Fabric.color_id.in_(wanted))).all()
    family.fabrics += [_fabric(f) for f in entry["fabric"] if f["color_id"] not in known]


def _fabric(entry: dict[str, Any]) -> Fabric:
    """Weave the cloth and store its tile and thumbnail."""
    tile = weave(load_draft(ASSETS / "cloth" / f"{entry['cloth']}.toml"))
    content = tile.png()
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"catalogue/{entry['color_id']}-{sha256[:16]}"
    storage().put(f"{name}.png", content, "image/png")
    storage().put(f"{name}-thumb.jpg", tile.thumbnail_jpeg(THUMBNAIL_PX), "image/jpeg")
    return Fabric(
        color_id=entry["color_id"],
        name=entry["name"],
        swatch_code=entry["swatch_code"],
        hex_value=tile.mean_hex(),
        swatch_key=f"{name}.png",
        swatch_sha256=sha256,
        swatch_kind="tile",
        swatch_width_mm=tile.width_mm,
        thumbnail_key=f"{name}-thumb.jpg",
    )


def _catalogue(path: Path) -> list[dict[str, Any]]:
    families: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["family"]
    return families


if __name__ == "__main__":
    main()
