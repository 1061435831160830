"""The catalogue: families and fabrics, their swatches, and the same change to many at once."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request, Response, UploadFile
from pydantic import BaseModel, Field, ValidationError

from api.auth import READ_CATALOGUE, WRITE_CATALOGUE, Needs, Principal
from api.catalogue import Id, keep_picture
from api.deps import Transaction, transaction_of
from api.errors import status_of
from api.fabrics import FabricChange
from api.pages.console import HOME, STRINGS, back, page
from api.schemas import ColorCreate, FabricCreate
from api.swatches import clean_photo, read_capped
from models import catalogue, profiles, tags, undo
from models.catalogue import EditedMeanwhile, Fabric, FabricFamily, Outcome, Page
from models.database import Session
from models.errors import Conflict, InvalidInput, StylistError

PAGE = f"{HOME}/catalogue"
FABRICS, FAMILIES = f"{PAGE}/fabrics", f"{PAGE}/families"
ON_A_PAGE = 50
FAMILIES_MOST = 200
SORT_MOST = 10_000
WIDTH_MM = (5.0, 3000.0)
FACTS = ("mill", "composition", "weight_g_m2", "pattern")
Reader = Annotated[Principal, Depends(Needs(READ_CATALOGUE))]
Editor = Annotated[Principal, Depends(Needs(WRITE_CATALOGUE))]
Part = Annotated[str, Field(max_length=100)]
Text = Annotated[str, Form(max_length=200)]
Status = Literal["", "active", "inactive"]
Action = Literal["activate", "deactivate", "move", "tag", "untag", "delete"]

router = APIRouter(prefix=PAGE, include_in_schema=False)


# --- fabrics --------------------------------------------------------------------------------------


class Wanted(BaseModel):
    """Which fabrics a list or its export shows, in which order."""

    q: Part = ""
    family: Part = ""
    status: Status = ""
    tag: Part = ""
    sort: Literal["name", "code", "newest"] = "name"
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0

    def found(self, session: Session, on_page: Page) -> Sequence[Fabric]:
        return catalogue.list_fabrics(
            session,
            on_page,
            q=self.q.strip() or None,
            family_id=self.family or None,
            status=self.status or None,
            sort=self.sort,
            tag=self.tag or None,
        )

    @property
    def filters(self) -> bool:
        return bool(self.q or self.family or self.status or self.tag)

    @property
    def told(self) -> dict[str, str]:
        """For the address of the same list as a file."""
        return self.model_dump(exclude={"offset"}, exclude_defaults=True)


Asked = Annotated[Wanted, Query()]


@router.get("")
def list_fabrics(reader: Reader, request: Request, session: Transaction, wanted: Asked) -> Response:
    families = catalogue.list_families(session, Page(FAMILIES_MOST))
    found = wanted.found(session, Page(ON_A_PAGE + 1, wanted.offset))
    return page(
        "fabrics",
        request,
        reader,
        fabrics=found[:ON_A_PAGE],
        more=len(found) > ON_A_PAGE,
        limit=ON_A_PAGE,
        families=families,
        names={row.id: row.display_name for row in families},
        wanted=wanted,
        tags=tags.in_use(session),
        export_url=f"{PAGE}/export.csv?{urlencode(wanted.told)}",
    )


@router.post("/bulk")
def change_many(
    editor: Editor,
    request: Request,
    session: Transaction,
    action: Annotated[Action, Form()] = "activate",
    ids: Annotated[list[int], Form(max_length=1000)] = [],  # noqa: B006 (pydantic copies it)
    to_family: Annotated[int | None, Form()] = None,
    tag: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """All of them or, where something is wrong, none; the answer is a report of each."""
    if not ids:
        raise InvalidInput(STRINGS["catalogue"]["none_ticked"], "ids")
    if action == "delete":
        report = catalogue.delete_fabrics(session, ids)
    elif action in ("tag", "untag"):
        report = _tag_many(session, ids, action, tag)
    else:
        report = catalogue.update_fabrics(session, ids, _bulk_change(action, to_family))
    changed = next((id for id, _, done in report if done), 0)
    kind: Literal["delete", "update"] = "delete" if action == "delete" else "update"
    entry = undo.last(session, kind, "fabric", changed)
    return page("bulk_report", request, editor, report=report, action=action, undo_entry=entry)


def _tag_many(session: Session, ids: list[int], action: Action, typed: str) -> list[Outcome]:
    """Raises InvalidInput."""
    words = tags.read(typed)
    if not words:
        raise InvalidInput(STRINGS["catalogue"]["no_tag"], "tag")
    return (tags.put if action == "tag" else tags.take)(session, ids, words)


def _bulk_change(action: Action, to_family: int | None) -> dict[str, Any]:
    """The columns. Raises InvalidInput."""
    if action != "move":
        return {"status": "active" if action == "activate" else "inactive"}
    if to_family is None:
        raise InvalidInput(STRINGS["catalogue"]["no_family"], "to_family")
    return {"fabric_family_id": to_family}


@router.post("/undo/{entry}")
def undo_change(editor: Editor, entry: Id, session: Transaction) -> Response:
    """Of a deletion or a change to many, with all that was done together with it."""
    undo.restore(session, entry)
    return back(PAGE, "undone")


@router.get("/fabrics/new")
def new_fabric(editor: Editor, request: Request, session: Transaction, family: int = 0) -> Response:
    blank = FabricForm(hex_value="#", fabric_family_id=family)
    return _fabric_page(editor, request, session, None, blank.model_dump(exclude={"file", "seen"}))


@router.get("/fabrics/{id}")
def edit_fabric(reader: Reader, id: Id, request: Request, session: Transaction) -> Response:
    row = catalogue.fabric(session, id)
    return _fabric_page(reader, request, session, row, _fields_of(row))


class FabricForm(BaseModel):
    """What the form sends; every field is text until it is checked."""

    color_id: str = ""
    name: str = ""
    swatch_code: str = ""
    hex_value: str = ""
    status: str = "active"
    fabric_family_id: int = 0
    swatch_width_mm: str = ""
    mill: str = ""
    composition: str = ""
    weight_g_m2: str = ""
    pattern: str = ""
    tags: str = ""
    seen: datetime | None = None
    file: UploadFile | None = None


FabricFields = Annotated[FabricForm, Form()]


@router.post("/fabrics")
def create_fabric(editor: Editor, request: Request, form: FabricFields) -> Response:
    return _save_fabric(editor, request, form, None)


@router.post("/fabrics/{id}")
def change_fabric(editor: Editor, id: Id, request: Request, form: FabricFields) -> Response:
    return _save_fabric(editor, request, form, id)


@router.post("/fabrics/{id}/delete")
def delete_fabric(editor: Editor, id: Id, session: Transaction) -> Response:
    catalogue.delete_fabric(session, id)
    return back(PAGE, "fabric-delete", undo=undo.last(session, "delete", "fabric", id))


def _save_fabric(editor: Principal, request: Request, form: FabricForm, id: int | None) -> Response:
    """Save and go back to the fabric, or show the form again with what was typed and why not."""
    try:
        fields = _checked_fabric(form)
        fields |= _uploaded_swatch(form.file)
        with transaction_of(request) as session:
            if id is None:
                saved = catalogue.create_fabric(session, fields)
            else:
                _keep_unread_width(form, catalogue.fabric(session, id), fields)
                saved = catalogue.update_fabric(session, id, fields, form.seen)
        return back(f"{FABRICS}/{saved.id}", "fabric-save")
    except (InvalidInput, Conflict) as error:
        with transaction_of(request) as session:
            row = catalogue.fabric(session, id) if id is not None else None
            typed = form.model_dump(exclude={"file", "seen"})
            return _fabric_page(editor, request, session, row, typed, error)


def _checked_fabric(form: FabricForm) -> dict[str, Any]:
    """The columns. Raises InvalidInput, in the words of the field that is wrong."""
    wanted = form.model_dump(include={"color_id", "name", "hex_value", "status"})
    fields = _checked(ColorCreate, wanted | {"swatch_code": form.swatch_code.strip() or None})
    kept = ("color_id", "name", "hex_value", "status", "swatch_code")
    return {name: fields[name] for name in kept} | {
        "fabric_family_id": form.fabric_family_id,
        "swatch_width_mm": _width_mm(form.swatch_width_mm),
        "tags": tags.read(form.tags),
        **_facts(form),
    }


def _facts(form: FabricForm) -> dict[str, Any]:
    """What is known of the cloth; an empty field forgets it. Raises InvalidInput."""
    typed = form.model_dump(include=set(FACTS))
    checked = _checked(FabricChange, {name: typed[name].strip() or None for name in FACTS})
    return {name: checked[name] for name in FACTS}


def _width_mm(text: str) -> float | None:
    """Raises InvalidInput."""
    if not text.strip():
        return None
    try:
        width_mm = float(text.replace(",", "."))
    except ValueError:
        width_mm = 0.0
    if not WIDTH_MM[0] <= width_mm <= WIDTH_MM[1]:
        raise InvalidInput(STRINGS["catalogue"]["invalid"]["swatch_width_mm"], "swatch_width_mm")
    return width_mm


def _keep_unread_width(form: FabricForm, row: Fabric, fields: dict[str, Any]) -> None:
    """The form shows the width rounded: what was not typed anew must not change the scale."""
    if form.swatch_width_mm == _fields_of(row)["swatch_width_mm"]:
        del fields["swatch_width_mm"]


def _uploaded_swatch(file: UploadFile | None) -> dict[str, Any]:
    """The columns of a new swatch; none where no file was chosen. The old one's bytes stay: orders
    that were made from it name them. Raises UploadRefused."""
    if file is None or not file.filename:
        return {}
    photo = clean_photo(read_capped(file)).content
    sha256 = hashlib.sha256(photo).hexdigest()
    values = (keep_picture(photo, "swatch"), sha256, "photo", None)
    names = ("swatch_key", "swatch_sha256", "swatch_kind", "thumbnail_key")
    return dict(zip(names, values, strict=True))


def _fabric_page(
    principal: Principal,
    request: Request,
    session: Transaction,
    row: Fabric | None,
    fields: dict[str, Any],
    error: StylistError | None = None,
) -> Response:
    return page(
        "fabric",
        request,
        principal,
        status=status_of(error) if error else 200,
        fabric=row,
        read=None if row is None else profiles.reading(session, row),
        fields=fields,
        families=catalogue.list_families(session, Page(FAMILIES_MOST)),
        may_edit=principal.may(WRITE_CATALOGUE),
        **_refusal(error),
    )


def _fields_of(row: Fabric) -> dict[str, Any]:
    names = ("color_id", "name", "swatch_code", "hex_value", "status", "fabric_family_id", *FACTS)
    width = "" if row.swatch_width_mm is None else f"{row.swatch_width_mm:g}"
    fields = {name: getattr(row, name) or "" for name in names}
    return fields | {"swatch_width_mm": width, "tags": ", ".join(row.tags)}


# --- families -------------------------------------------------------------------------------------


@router.get("/families")
def list_families(reader: Reader, request: Request, session: Transaction) -> Response:
    families = catalogue.list_families(session, Page(FAMILIES_MOST))
    return page("families", request, reader, families=families)


@router.get("/families/new")
def new_family(editor: Editor, request: Request) -> Response:
    return _family_page(editor, request, None, FamilyForm().model_dump())


@router.get("/families/{id}")
def edit_family(reader: Reader, id: Id, request: Request, session: Transaction) -> Response:
    row = catalogue.family(session, id)
    names = ("family_id", "display_name", "status", "sort")
    return _family_page(reader, request, row, {name: getattr(row, name) for name in names})


class FamilyForm(BaseModel):
    family_id: str = ""
    display_name: str = ""
    status: str = "active"
    sort: Annotated[int, Form(ge=0, le=SORT_MOST)] = 0
    seen: datetime | None = None


FamilyFields = Annotated[FamilyForm, Form()]


@router.post("/families")
def create_family(editor: Editor, request: Request, form: FamilyFields) -> Response:
    return _save_family(editor, request, form, None)


@router.post("/families/{id}")
def change_family(editor: Editor, id: Id, request: Request, form: FamilyFields) -> Response:
    return _save_family(editor, request, form, id)


@router.post("/families/{id}/delete")
def delete_family(editor: Editor, id: Id, session: Transaction) -> Response:
    catalogue.delete_family(session, id)
    return back(FAMILIES, "family-delete", undo=undo.last(session, "delete", "family", id))


def _save_family(editor: Principal, request: Request, form: FamilyForm, id: int | None) -> Response:
    typed = form.model_dump(exclude={"seen"})
    try:
        checked = _checked(FabricCreate, typed)
        fields = {name: checked[name] for name in ("family_id", "display_name", "status")}
        fields["sort"] = form.sort
        with transaction_of(request) as session:
            if id is None:
                catalogue.create_family(session, fields, [])
            else:
                catalogue.update_family(session, id, fields, seen=form.seen)
        return back(FAMILIES, "family-save")
    except (InvalidInput, Conflict) as error:
        with transaction_of(request) as session:
            row = catalogue.family(session, id) if id is not None else None
        return _family_page(editor, request, row, typed, error)


def _family_page(
    principal: Principal,
    request: Request,
    row: FabricFamily | None,
    fields: dict[str, Any],
    error: StylistError | None = None,
) -> Response:
    return page(
        "family",
        request,
        principal,
        status=status_of(error) if error else 200,
        family=row,
        fields=fields,
        may_edit=principal.may(WRITE_CATALOGUE),
        **_refusal(error),
    )


# --- what both have in common ---------------------------------------------------------------------


def _checked(kind: type[BaseModel], fields: dict[str, Any]) -> dict[str, Any]:
    """By the rules of the JSON API. Raises InvalidInput in the words of the field."""
    try:
        return kind.model_validate(fields, strict=False).model_dump()  # a form sends text
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        raise InvalidInput(STRINGS["catalogue"]["invalid"][field], field) from None


def _refusal(error: StylistError | None) -> dict[str, Any]:
    """What a form shows of the error, and which field it points to."""
    return {
        "error": str(error) if error else "",
        "wrong": getattr(error, "field", None),
        "edited_meanwhile": isinstance(error, EditedMeanwhile),
    }
