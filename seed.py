"""Fill an empty database: looks, the starter catalogue with woven swatches, the first owner.

`python seed.py` is safe to run twice: it adds what is missing, keeps what a merchandiser changed,
and brings the looks to the versions of the packs in assets/.
"""

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

from models import catalogue
from models.accounts import ensure_owner
from models.database import Session, transaction
from models.settings import ROOT, settings
from models.storage import put_named_by_hash, storage
from worker.weave import Draft, load_draft, weave

ASSETS = ROOT / "assets"
OWNER_NAME = "owner"
THUMBNAIL_PX = 320


def main() -> None:
    with transaction() as session:
        seed_looks(session, ASSETS / "looks")
        ensure_owner(session, OWNER_NAME, settings().owner_password)
    for sort, family in enumerate(_families(ASSETS / "catalogue.toml")):
        seed_family(family, sort)


def seed_looks(session: Session, folder: Path) -> None:
    """One look a pack; the cut's row follows the pack's version."""
    for path in sorted(folder.glob("*/look.json")):
        pack = json.loads(path.read_text(encoding="utf-8"))
        width_px, height_px = pack["size_px"]
        fields = {
            "pack": path.parent.name,
            "pack_version": pack["version"],
            "width_px": width_px,
            "height_px": height_px,
            "px_per_cm": pack["px_per_cm"],
        }
        catalogue.put_look(session, pack["style"], pack["name_es"], pack["place"], fields)


def seed_family(entry: dict[str, Any], sort: int) -> None:
    """Add the family and those of its fabrics that are missing. They are woven between two
    transactions: that takes longer than one may be idle on a busy machine."""
    family = {
        "family_id": entry["family_id"],
        "display_name": entry["display_name"],
        "sort": sort,
    }
    color_ids = [fabric["color_id"] for fabric in entry["fabric"]]
    with transaction() as session:
        missing = catalogue.missing_color_ids(session, color_ids)
    woven = [_fabric_fields(f) for f in entry["fabric"] if f["color_id"] in missing]
    facts = {fabric["color_id"]: _facts(_draft_of(fabric)) for fabric in entry["fabric"]}
    with transaction() as session:
        missing = catalogue.missing_color_ids(session, color_ids)
        fabrics = [fields for fields in woven if fields["color_id"] in missing]
        catalogue.add_to_family(session, family, fabrics)
        for color_id, known in facts.items():
            catalogue.add_facts(session, color_id, known)


def _fabric_fields(entry: dict[str, Any]) -> dict[str, Any]:
    """Weave the cloth and store its tile and thumbnail."""
    draft = _draft_of(entry)
    tile = weave(draft)
    content = tile.png()
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"catalogue/{entry['color_id']}-{sha256[:16]}"
    put_named_by_hash(storage(), f"{name}.png", content, "image/png")
    thumbnail = tile.thumbnail_jpeg(THUMBNAIL_PX)
    put_named_by_hash(storage(), f"{name}-thumb.jpg", thumbnail, "image/jpeg")
    return {
        "color_id": entry["color_id"],
        "name": entry["name"],
        "swatch_code": entry["swatch_code"],
        "hex_value": tile.mean_hex(),
        "swatch_key": f"{name}.png",
        "swatch_sha256": sha256,
        "swatch_kind": "tile",
        "swatch_width_mm": tile.width_mm,
        "thumbnail_key": f"{name}-thumb.jpg",
    } | _facts(draft)


def _draft_of(entry: dict[str, Any]) -> Draft:
    return load_draft(ASSETS / "cloth" / f"{entry['cloth']}.toml")


def _facts(draft: Draft) -> dict[str, Any]:
    """What the shop tells about a cloth."""
    return {
        "pattern": draft.pattern,
        "composition": draft.composition,
        "weight_g_m2": draft.weight_g_m2,
    }


def _families(path: Path) -> list[dict[str, Any]]:
    families: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["family"]
    return families


if __name__ == "__main__":
    main()
