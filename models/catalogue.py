"""The catalogue: fabric families, fabrics (colours) and looks (cuts), and every query on them.

A colour on the wire is a fabric here. Storage keys only: URLs are made by the API.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import CheckConstraint, ForeignKey, Index, Select, or_, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship, selectinload

from models.base import Base, CreatedAt, IntegerKey, UpdatedAt
from models.errors import Conflict, InvalidInput, NotFound
from models.profiles import PROFILE_CHECK, Profiled, SwatchLetter
from models.storage import PUBLIC_PREFIX

Row = TypeVar("Row")
ACTIVE = "active"
STATUSES = "status IN ('active', 'inactive')"
Outcome = tuple[int, str, bool | None]  # of one of many: id, name, is it changed; None: it is gone
OVERLAYS = ("picture", "mask", "panels", "grid")  # what is shown of a look pack
WORN = "worn"  # and its suit in plain cloth, for the sales floor
OVERLAY_PREFIX = f"{PUBLIC_PREFIX}look-"
LAYER = "|".join((*OVERLAYS, WORN))
OVERLAY_KEY = re.compile(
    rf"{OVERLAY_PREFIX}(?P<pack>.+)-(?P<version>[0-9a-f]{{16}})-(?:{LAYER})\.jpg"
)


class UnknownColor(InvalidInput):
    """No fabric has this color_id."""

    code = "unknown-color"


class EditedMeanwhile(Conflict):
    """Somebody else saved the row after the one that is now saving had read it."""

    code = "edited-meanwhile"


class FabricFamily(Base):
    """A bunch of fabrics that belong together: wool and cashmere, linen, silk."""

    __tablename__ = "fabric_families"
    __table_args__ = (CheckConstraint(STATUSES, name="status"),)

    id: Mapped[IntegerKey]
    family_id: Mapped[str] = mapped_column(unique=True)
    display_name: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=ACTIVE, default=ACTIVE)
    sort: Mapped[int] = mapped_column(server_default="0", default=0)
    lora_id: Mapped[str | None]
    default_recipe: Mapped[str | None]
    preview_key: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
    fabrics: Mapped[list["Fabric"]] = relationship(
        back_populates="family", order_by="Fabric.name", cascade="all, delete-orphan"
    )


class Fabric(Profiled, Base):
    """One cloth that can be ordered; `color_id` on the wire. The swatch is its tile or photo."""

    __tablename__ = "fabrics"
    __table_args__ = (
        CheckConstraint(STATUSES, name="status"),
        CheckConstraint("hex_value ~ '^#[0-9A-F]{6}$'", name="hex_value"),
        CheckConstraint("swatch_kind IN ('tile', 'photo')", name="swatch_kind"),
        CheckConstraint(
            "(swatch_key IS NULL) = (swatch_sha256 IS NULL)"
            " AND (swatch_key IS NULL) = (swatch_kind IS NULL)",
            name="swatch_whole",
        ),
        CheckConstraint("swatch_width_mm > 0", name="swatch_width_mm"),
        CheckConstraint(PROFILE_CHECK.format(swatch="swatch_key"), name="profile"),
        CheckConstraint("weight_g_m2 > 0", name="weight_g_m2"),
        CheckConstraint("pattern IN ('plain', 'stripe', 'check', 'texture')", name="pattern"),
        Index(None, "fabric_family_id"),
        Index("fabrics_swatch_key", "swatch_key", postgresql_where=text("swatch_key IS NOT NULL")),
    )

    id: Mapped[IntegerKey]
    fabric_family_id: Mapped[int] = mapped_column(ForeignKey("fabric_families.id"))
    color_id: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    hex_value: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=ACTIVE, default=ACTIVE)
    swatch_code: Mapped[str | None]
    swatch_key: Mapped[str | None]
    swatch_sha256: Mapped[str | None]
    swatch_kind: Mapped[str | None]
    swatch_width_mm: Mapped[float | None]
    thumbnail_key: Mapped[str | None]
    mill: Mapped[str | None]  # who wove it
    composition: Mapped[str | None]  # "85 % lana merino, 15 % cachemir"
    weight_g_m2: Mapped[int | None]
    pattern: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"), default=list)  # tags.py
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
    family: Mapped[FabricFamily] = relationship(back_populates="fabrics")

    @property
    def swatch_letter(self) -> SwatchLetter | None:
        if self.swatch_key is None:
            return None
        names = ("swatch_key", "swatch_sha256", "swatch_kind", "swatch_width_mm")
        return SwatchLetter.model_validate({name: getattr(self, name) for name in names})


class Look(Base):
    """A cut that can be ordered: the name and version of its look pack, and its picture's size.

    A pack that was uploaded lies in the store; those that ship with the house have no key."""

    __tablename__ = "looks"
    __table_args__ = (
        CheckConstraint(STATUSES, name="status"),
        CheckConstraint("(pack_key IS NULL) = (pack_sha256 IS NULL)", name="pack_whole"),
    )

    id: Mapped[IntegerKey]
    cut: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    pack: Mapped[str]
    pack_version: Mapped[str]
    pack_key: Mapped[str | None]
    pack_sha256: Mapped[str | None]
    width_px: Mapped[int]
    height_px: Mapped[int]
    px_per_cm: Mapped[float]
    status: Mapped[str] = mapped_column(server_default=ACTIVE, default=ACTIVE)
    sort: Mapped[int] = mapped_column(server_default="0", default=0)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


VERSION = text(
    "SELECT md5(concat("
    + ", '/', ".join(
        f"(SELECT string_agg(id || '.' || xmin::text, ',' ORDER BY id) FROM {table})"
        for table in ("fabric_families", "fabrics", "looks")
    )
    + "))"
)


@dataclass(frozen=True)
class Page:
    """A slice of a list: at most `limit` rows after the first `offset`."""

    limit: int = 50
    offset: int = 0


# --- what the shop sees ---------------------------------------------------------------------------


def shop_families(session: Session) -> Sequence[FabricFamily]:
    """Active families by sort, then name, each with its active fabrics by name."""
    rows = session.scalars(
        select(FabricFamily)
        .where(FabricFamily.status == ACTIVE)
        .order_by(FabricFamily.sort, FabricFamily.display_name)
        .options(selectinload(FabricFamily.fabrics.and_(Fabric.status == ACTIVE)))
        .execution_options(populate_existing=True)
    )
    return rows.all()


def version(session: Session) -> str:
    """Another one after any write to families, fabrics or looks, by whomever: PostgreSQL marks each
    row with the transaction that wrote it."""
    return str(session.execute(VERSION).scalar_one())


def active_looks(session: Session) -> Sequence[Look]:
    return session.scalars(select(Look).where(Look.status == ACTIVE).order_by(Look.sort)).all()


def orderable_fabric(session: Session, color_id: str, family_id: str | None = None) -> Fabric:
    """The active fabric of an active family. Raises InvalidInput, which says what is wrong."""
    fabric = session.scalar(
        select(Fabric).where(Fabric.color_id == color_id).options(selectinload(Fabric.family))
    )
    if fabric is None:
        raise UnknownColor(f"La tela «{color_id}» no existe en el catálogo.", "color_id")
    if family_id is not None and fabric.family.family_id != family_id:
        raise InvalidInput(f"La tela «{color_id}» no es de la familia «{family_id}».", "family_id")
    if fabric.status != ACTIVE or fabric.family.status != ACTIVE:
        raise InvalidInput(f"La tela «{fabric.name}» no está disponible.", "color_id")
    return fabric


def orderable_looks(session: Session, cuts: Sequence[str]) -> list[Look]:
    """The looks of these cuts, in their order. Raises InvalidInput for an unknown one."""
    known = {look.cut: look for look in active_looks(session)}
    for place, cut in enumerate(cuts):
        if cut not in known:
            raise InvalidInput(f"El corte «{cut}» no existe.", f"cuts/{place}")
    return [known[cut] for cut in cuts]


# --- families -------------------------------------------------------------------------------------


def list_families(
    session: Session, page: Page, q: str | None = None, status: str | None = None
) -> Sequence[FabricFamily]:
    """Families by name, with all their fabrics; `q` is a part of the id or the name."""
    query = select(FabricFamily).options(selectinload(FabricFamily.fabrics))
    if q:
        query = query.where(_contains(q, FabricFamily.family_id, FabricFamily.display_name))
    if status:
        query = query.where(FabricFamily.status == status)
    order = (FabricFamily.display_name, FabricFamily.id)
    return session.scalars(_paged(query.order_by(*order), page)).all()


def family_names(session: Session) -> dict[int, str]:
    """By id, of all there are."""
    rows = session.execute(select(FabricFamily.id, FabricFamily.display_name))
    return {row.id: row.display_name for row in rows}


def family(session: Session, id: int, to_write: bool = False) -> FabricFamily:
    """`to_write` holds the row until the transaction ends. Raises NotFound."""
    found = session.get(
        FabricFamily, id, options=[selectinload(FabricFamily.fabrics)], with_for_update=to_write
    )
    if found is None:
        raise NotFound(f"No existe la familia {id}.")
    return found


def create_family(
    session: Session, fields: dict[str, Any], fabrics: list[dict[str, Any]]
) -> FabricFamily:
    """Raises Conflict when the family_id or one of the color_ids is taken."""
    _refuse_taken_family_id(session, fields["family_id"])
    color_ids = [fabric["color_id"] for fabric in fabrics]
    _refuse_repeated_color_ids(color_ids)
    _refuse_taken_color_ids(session, color_ids)
    created = FabricFamily(**fields, fabrics=[Fabric(**fabric) for fabric in fabrics])
    session.add(created)
    return _as_stored(session, created)


def update_family(
    session: Session,
    id: int,
    changes: dict[str, Any],
    fabrics: list[dict[str, Any]] | None = None,
    seen: datetime | None = None,
) -> FabricFamily:
    """Change fields; `fabrics` replaces the whole list, merged by color_id so that rows stay, and
    so do their fields that are not named. `seen` is the updated_at that the editor had read.

    Raises NotFound, EditedMeanwhile, and Conflict when an id belongs to another row.
    """
    changed = family(session, id, to_write=True)
    _refuse_stale(changed, seen)
    if "family_id" in changes:
        _refuse_taken_family_id(session, changes["family_id"], own_id=id)
    for name, value in changes.items():
        setattr(changed, name, value)
    if fabrics is not None:
        _replace_fabrics(session, changed, fabrics)
    return _as_stored(session, changed)


def delete_family(session: Session, id: int) -> None:
    """Delete it and its fabrics. Orders keep their own copy of what was ordered."""
    session.delete(family(session, id, to_write=True))


def _replace_fabrics(session: Session, owner: FabricFamily, fabrics: list[dict[str, Any]]) -> None:
    kept = {fabric.color_id: fabric for fabric in owner.fabrics}
    color_ids = [fields["color_id"] for fields in fabrics]
    _refuse_repeated_color_ids(color_ids)
    _refuse_taken_color_ids(session, [id for id in color_ids if id not in kept])
    wanted = []
    for fields in fabrics:
        row = kept.get(fields["color_id"]) or Fabric()
        for name, value in fields.items():
            setattr(row, name, value)
        wanted.append(row)
    owner.fabrics = wanted


def _as_stored(session: Session, changed: FabricFamily) -> FabricFamily:
    """Write it and read it back: defaults, times, and the fabrics by name."""
    session.flush()
    session.refresh(changed)
    return changed


# --- fabrics --------------------------------------------------------------------------------------


SORTS: dict[str, tuple[Any, ...]] = {
    "name": (Fabric.name, Fabric.id),
    "code": (Fabric.swatch_code, Fabric.id),
    "newest": (Fabric.updated_at.desc(), Fabric.id),
}


def list_fabrics(
    session: Session,
    page: Page,
    q: str | None = None,
    family_id: str | None = None,
    status: str | None = None,
    sort: str = "name",
    tag: str | None = None,
) -> Sequence[Fabric]:
    """Fabrics in the order of SORTS; `q` is a part of the id, the name or the swatch code."""
    query = select(Fabric)
    if tag:
        query = query.where(Fabric.tags.contains([tag.strip().lower()]))
    if q:
        query = query.where(_contains(q, Fabric.color_id, Fabric.name, Fabric.swatch_code))
    if family_id:
        query = query.join(Fabric.family).where(FabricFamily.family_id == family_id)
    if status:
        query = query.where(Fabric.status == status)
    return session.scalars(_paged(query.order_by(*SORTS[sort]), page)).all()


def fabric(session: Session, id: int, to_write: bool = False) -> Fabric:
    """`to_write` holds the row until the transaction ends. Raises NotFound."""
    found = session.get(Fabric, id, with_for_update=to_write)
    if found is None:
        raise NotFound(f"No existe la tela {id}.")
    return found


def create_fabric(session: Session, fields: dict[str, Any]) -> Fabric:
    """A fabric of the family `fabric_family_id`. Raises NotFound and Conflict."""
    family(session, fields["fabric_family_id"])
    _refuse_taken_color_ids(session, [fields["color_id"]])
    created = Fabric(**fields)
    session.add(created)
    session.flush()
    return created


def update_fabric(
    session: Session, id: int, changes: dict[str, Any], seen: datetime | None = None
) -> Fabric:
    """`seen` is the updated_at that the editor had read. Raises NotFound (the fabric, or the family
    it should move to), EditedMeanwhile and Conflict."""
    changed = fabric(session, id, to_write=True)
    _refuse_stale(changed, seen)
    if "fabric_family_id" in changes:
        family(session, changes["fabric_family_id"])
    if "color_id" in changes and changes["color_id"] != changed.color_id:
        _refuse_taken_color_ids(session, [changes["color_id"]])
    for name, value in changes.items():
        setattr(changed, name, value)
    session.flush()
    return changed


def update_fabrics(session: Session, ids: Sequence[int], changes: dict[str, Any]) -> list[Outcome]:
    """The same change to many. Raises NotFound for the family they should move to."""
    if "fabric_family_id" in changes:
        family(session, changes["fabric_family_id"])
    return change_each(session, ids, lambda _: changes)


def change_each(
    session: Session, ids: Sequence[int], changes_of: Callable[[Fabric], dict[str, Any]]
) -> list[Outcome]:
    """What `changes_of` says of each, in one transaction: all of them or, where it raises, none."""
    query = select(Fabric).where(Fabric.id.in_(ids)).order_by(Fabric.id).with_for_update()
    found = {row.id: row for row in session.scalars(query)}
    report: list[Outcome] = []
    for id in dict.fromkeys(ids):
        row = found.get(id)
        if row is None:
            report.append((id, "", None))
            continue
        changes = changes_of(row)
        changed = any(getattr(row, name) != value for name, value in changes.items())
        for name, value in changes.items() if changed else ():
            setattr(row, name, value)
        report.append((id, row.name, changed))
    session.flush()
    return report


def delete_fabric(session: Session, id: int) -> None:
    session.delete(fabric(session, id, to_write=True))


def delete_fabrics(session: Session, ids: Sequence[int]) -> list[Outcome]:
    query = select(Fabric).where(Fabric.id.in_(ids)).order_by(Fabric.id).with_for_update()
    found = {row.id: row for row in session.scalars(query)}
    for row in found.values():
        session.delete(row)
    session.flush()
    return [
        (id, found[id].name, True) if id in found else (id, "", None) for id in dict.fromkeys(ids)
    ]


def fabrics_with_swatch(session: Session, swatch_key: str) -> Sequence[Fabric]:
    """All fabrics whose swatch is stored under this key: fabrics may share a photo."""
    return session.scalars(select(Fabric).where(Fabric.swatch_key == swatch_key)).all()


# --- looks ----------------------------------------------------------------------------------------


def looks(session: Session) -> Sequence[Look]:
    """All of them, in the order of the sales floor."""
    return session.scalars(select(Look).order_by(Look.sort, Look.cut)).all()


def set_look_status(session: Session, cut: str, status: str) -> Look:
    """Raises NotFound, and Conflict where no look would be left to order."""
    rows = {
        row.cut: row for row in session.scalars(select(Look).order_by(Look.id).with_for_update())
    }
    if cut not in rows:
        raise NotFound(f"El corte «{cut}» no existe.")
    rows[cut].status = status
    if not any(row.status == ACTIVE for row in rows.values()):
        raise Conflict("Tiene que quedar al menos un corte activo.")
    session.flush()
    return rows[cut]


def overlay_key(pack: str, version: str, layer: str) -> str:
    """Where a worker stores one of OVERLAYS; what all their keys begin with, for an empty layer."""
    name = f"{OVERLAY_PREFIX}{pack}-{version}-{layer}"
    return f"{name}.jpg" if layer else name


def overlay_of(key: str) -> tuple[str, str] | None:
    """The pack and the version that a worker drew; None for a picture of something else."""
    found = OVERLAY_KEY.fullmatch(key)
    return (found["pack"], found["version"]) if found else None


# --- what the seed adds ---------------------------------------------------------------------------


def put_look(session: Session, cut: str, name: str, sort: int, fields: dict[str, Any]) -> None:
    """Bring the look of this cut to a pack; a new one is active, an old one keeps its name, and one
    that a merchandiser uploaded is left as it is."""
    look = session.scalar(select(Look).where(Look.cut == cut))
    if look is not None and look.pack_key is not None:
        return
    if look is None:
        look = Look(cut=cut, name=name, sort=sort)
        session.add(look)
    for field, value in fields.items():
        setattr(look, field, value)


def missing_color_ids(session: Session, color_ids: Sequence[str]) -> set[str]:
    known = session.scalars(select(Fabric.color_id).where(Fabric.color_id.in_(color_ids)))
    return set(color_ids) - set(known)


def add_facts(session: Session, color_id: str, facts: dict[str, Any]) -> None:
    """Say of a fabric what is known of its cloth, if nothing is and nobody has edited it."""
    empty = (getattr(Fabric, name).is_(None) for name in facts)
    untouched = Fabric.updated_at == Fabric.created_at
    known = select(Fabric).where(Fabric.color_id == color_id, untouched, *empty)
    for row in session.scalars(known):
        for name, value in facts.items():
            setattr(row, name, value)


def add_to_family(session: Session, fields: dict[str, Any], fabrics: list[dict[str, Any]]) -> None:
    """Add fabrics to the family of this family_id, which is made if there is none."""
    query = select(FabricFamily).where(FabricFamily.family_id == fields["family_id"])
    owner = session.scalar(query)
    if owner is None:
        owner = FabricFamily(**fields)
        session.add(owner)
    owner.fabrics += [Fabric(**fabric) for fabric in fabrics]


# --- the pieces of the queries above --------------------------------------------------------------


def _contains(part: str, *columns: Any) -> Any:
    return or_(*(column.icontains(part, autoescape=True) for column in columns))


def _paged(query: Select[Row], page: Page) -> Select[Row]:
    return query.limit(page.limit).offset(page.offset)


def _refuse_stale(row: Fabric | FabricFamily, seen: datetime | None) -> None:
    if seen is not None and row.updated_at != seen:
        raise EditedMeanwhile("Alguien más guardó cambios mientras editabas.")


def _refuse_taken_family_id(session: Session, family_id: str, own_id: int | None = None) -> None:
    taken = session.scalar(select(FabricFamily.id).where(FabricFamily.family_id == family_id))
    if taken is not None and taken != own_id:
        raise Conflict(f"Ya existe una familia «{family_id}».")


def _refuse_repeated_color_ids(color_ids: list[str]) -> None:
    for color_id, times in Counter(color_ids).items():
        if times > 1:
            raise Conflict(f"La tela «{color_id}» está repetida.")


def _refuse_taken_color_ids(session: Session, color_ids: list[str]) -> None:
    taken = session.scalars(select(Fabric.color_id).where(Fabric.color_id.in_(color_ids))).all()
    if taken:
        raise Conflict(f"Ya existe una tela «{min(taken)}».")
