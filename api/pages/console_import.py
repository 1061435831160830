"""Import and export of fabrics: a CSV list, or a ZIP of swatch photos named by code.

What is uploaded waits in the store, under a name that nobody can guess, while somebody reads what
it would change; only the second step writes, in one transaction, exactly what was shown.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Path, Request, Response, UploadFile

from api import fabric_list, photo_folder
from api.auth import READ_CATALOGUE, WRITE_CATALOGUE, Needs, Principal
from api.catalogue import keep_picture
from api.deps import Transaction, transaction_of
from api.errors import status_of
from api.pages.console import HOME, page
from api.pages.console_catalogue import Asked
from api.photo_folder import FOLDER_MAX_BYTES, Named
from models import catalogue, imports
from models.catalogue import Fabric, Page
from models.database import Session
from models.errors import Conflict, InvalidInput, NotFound, StylistError
from models.storage import storage

PAGE = f"{HOME}/catalogue/import"
SHOWN_MOST = 500
CELLS = {  # what is typed there, whatever the language
    "hex_value": "#1A2B3C",
    "status": "active, inactive",
    "pattern": "plain, stripe, check, texture",
}
Reader = Annotated[Principal, Depends(Needs(READ_CATALOGUE))]
Editor = Annotated[Principal, Depends(Needs(WRITE_CATALOGUE))]
Token = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{32}$")]
Digest = Annotated[str, Form(pattern=r"^[0-9a-f]{64}$")]

router = APIRouter(prefix=f"{HOME}/catalogue", include_in_schema=False)


@router.get("/export.csv")
def export(reader: Reader, session: Transaction, wanted: Asked) -> Response:
    """What the list of fabrics shows, all its pages, for a spreadsheet."""
    fabrics = wanted.found(session, Page(fabric_list.ROWS_MOST))
    families = {row.id: row.family_id for row in catalogue.list_families(session, Page(10_000))}
    headers = {
        "Content-Disposition": 'attachment; filename="telas.csv"',
        "Cache-Control": "private, no-store",
    }
    content = fabric_list.written(fabrics, families)
    return Response(content, headers=headers, media_type="text/csv; charset=utf-8")


@router.get("/import")
def choose(editor: Editor, request: Request) -> Response:
    return _choose_page(editor, request)


@router.post("/import")
def show(editor: Editor, request: Request, file: UploadFile) -> Response:
    """What the file would change; nothing is written but the file itself, for the next step."""
    content = file.file.read(FOLDER_MAX_BYTES + 1)
    try:
        plan = _plan(request, content)
    except InvalidInput as error:
        return _choose_page(editor, request, error)
    token = secrets.token_urlsafe(24)
    storage().put(_key(token), content, "application/octet-stream")
    return page("import_plan", request, editor, plan=plan, token=token, shown_most=SHOWN_MOST)


@router.post("/import/{token}")
def carry_out(editor: Editor, token: Token, digest: Digest, request: Request) -> Response:
    try:
        content = storage().get(_key(token))
        done = _apply(request, content, digest)
    except NotFound:
        return _choose_page(editor, request, NotFound("La lista ya no está; súbela otra vez."))
    except Conflict as error:
        return _choose_page(editor, request, error)
    storage().delete(_key(token))
    return page("import_report", request, editor, plan=done, shown_most=SHOWN_MOST)


def _key(token: str) -> str:
    return f"imports/{token.replace('-', '_')}"


def _choose_page(
    editor: Principal, request: Request, error: StylistError | None = None
) -> Response:
    return page(
        "import",
        request,
        editor,
        status=status_of(error) if error else 200,
        columns=fabric_list.COLUMNS,
        cells=CELLS,
        rows_most=fabric_list.ROWS_MOST,
        photos_most=photo_folder.PHOTOS_MOST,
        error=str(error) if error else "",
    )


# --- either kind of file --------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """One row as a page tells it."""

    number: int | str
    name: str
    verdict: str
    changes: dict[str, tuple[Any, Any]]
    refusal: str | None  # names a sentence, or is one where `facts` is None
    facts: dict[str, Any] | None


@dataclass(frozen=True)
class ShownPlan:
    kind: Literal["list", "photos"]
    rows: Sequence[Shown]
    digest: str

    def count(self, verdict: str) -> int:
        return sum(row.verdict == verdict for row in self.rows)

    @property
    def told(self) -> list[Shown]:
        """Without what stays as it is; what is refused comes first."""
        order = ("refuse", "change", "add", "photo")
        found = [row for row in self.rows if row.verdict in order]
        return sorted(found, key=lambda row: order.index(row.verdict))

    @property
    def writes(self) -> int:
        return sum(row.verdict in ("add", "change", "photo") for row in self.rows)


def _plan(request: Request, content: bytes) -> ShownPlan:
    """Raises InvalidInput."""
    if photo_folder.is_folder(content):
        photos = [Seen.of(named) for named in photo_folder.read(content)]  # no connection is held
        with transaction_of(request) as session:
            return _plan_of_photos(session, photos)[0]
    lines = fabric_list.read(content)
    with transaction_of(request) as session:
        return _shown(imports.plan(session, lines))


def _apply(request: Request, content: bytes, digest: str) -> ShownPlan:
    """Raises PlanOutdated."""
    if not photo_folder.is_folder(content):
        lines = fabric_list.read(content)
        with transaction_of(request) as session:
            return _shown(imports.apply(session, lines, digest))
    photos = [Seen.of(named, keep=True) for named in photo_folder.read(content)]
    with transaction_of(request) as session:
        plan, matched = _plan_of_photos(session, photos)
        if plan.digest != digest:
            raise imports.PlanOutdated(imports.OUTDATED)
        for fabric, photo in matched:
            catalogue.update_fabric(session, fabric.id, photo.columns)
    return plan


def _shown(plan: imports.Plan) -> ShownPlan:
    rows = [
        Shown(
            step.line.number,
            step.name or step.line.color_id,
            step.verdict,
            step.changes,
            step.refusal,
            step.facts,
        )
        for step in plan.steps
    ]
    return ShownPlan("list", rows, plan.digest)


# --- photos ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """A photo that was read, without its bytes: a hundred of them would be half a gigabyte."""

    file: str
    code: str
    sha256: str | None  # None: it was refused
    refusal: str
    key: str

    @classmethod
    def of(cls, named: Named, keep: bool = False) -> "Seen":
        """With `keep` its picture is stored as well."""
        if named.photo is None:
            return cls(named.file, named.code, None, named.refusal, "")
        content = named.photo.content
        key = keep_picture(content, "swatch") if keep else ""
        return cls(named.file, named.code, hashlib.sha256(content).hexdigest(), "", key)

    @property
    def columns(self) -> dict[str, Any]:
        """Of the fabric. How wide the photo is in cloth nobody has said."""
        values = (self.key, self.sha256, "photo", None, None)
        names = ("swatch_key", "swatch_sha256", "swatch_kind", "swatch_width_mm", "thumbnail_key")
        return dict(zip(names, values, strict=True))


def _plan_of_photos(
    session: Session, photos: Sequence[Seen]
) -> tuple[ShownPlan, list[tuple[Fabric, Seen]]]:
    by_code = _by_code(catalogue.list_fabrics(session, Page(fabric_list.ROWS_MOST)))
    rows: list[Shown] = []
    matched: list[tuple[Fabric, Seen]] = []
    taken: set[int] = set()
    for photo in photos:
        found = by_code.get(photo.code.casefold(), [])
        if photo.sha256 is None:
            rows.append(Shown(photo.file, photo.code, "refuse", {}, photo.refusal, None))
        elif len(found) != 1 or found[0].id in taken:
            why = "no_code" if not found else "two_codes" if len(found) > 1 else "repeated_photo"
            rows.append(Shown(photo.file, photo.code, "refuse", {}, why, {"code": photo.code}))
        else:
            taken.add(found[0].id)
            matched.append((found[0], photo))
            rows.append(Shown(photo.file, found[0].name, "photo", {}, None, {}))
    told: list[tuple[Any, str, str]] = [(row.number, row.verdict, row.name) for row in rows]
    told += [(fabric.id, str(fabric.swatch_sha256), str(p.sha256)) for fabric, p in matched]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    return ShownPlan("photos", rows, digest), matched


def _by_code(fabrics: Iterable[Fabric]) -> dict[str, list[Fabric]]:
    """By swatch code and by id, whatever the case: a file's name may have lost it."""
    found: dict[str, list[Fabric]] = {}
    for fabric in fabrics:
        for code in {fabric.color_id.casefold(), (fabric.swatch_code or "").casefold()} - {""}:
            found.setdefault(code, []).append(fabric)
    return found
