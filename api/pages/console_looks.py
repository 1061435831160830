"""Looks: what a cut's pack holds, seen as overlays; which are on the sales floor; a trial; uploads.

A pack or a photo that somebody uploads is looked over here and made by a worker; it comes to the
sales floor when it is activated.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Path, Request, Response, UploadFile

from api.auth import PLACE_ORDERS, READ_CATALOGUE, WRITE_CATALOGUE, Needs, Principal
from api.deps import Address, Transaction, count_against_limit, transaction_of
from api.errors import status_of
from api.look_files import LookFiles, pack_in, photo_in
from api.pages.console import HOME, back, page
from models import catalogue, generations, look_uploads, packs
from models.base import uuid7
from models.catalogue import OVERLAYS, overlay_key
from models.database import Session
from models.errors import InvalidInput
from models.look_uploads import LookLetter
from models.packs import PACK_MAX_BYTES
from models.settings import settings
from models.storage import storage

PAGE = f"{HOME}/catalogue/looks"
NOTHING = MappingProxyType({"error": "", "wrong": "", "typed": ""})
Reader = Annotated[Principal, Depends(Needs(READ_CATALOGUE))]
Editor = Annotated[Principal, Depends(Needs(WRITE_CATALOGUE))]
Orderer = Annotated[Principal, Depends(Needs(PLACE_ORDERS))]
Cut = Annotated[str, Path(max_length=100)]
ColorId = Annotated[str, Form(max_length=100)]

router = APIRouter(prefix=PAGE, include_in_schema=False)


@router.get("")
def list_looks(reader: Reader, request: Request, session: Transaction) -> Response:
    return _page(reader, request, session)


@router.post("/{cut}/status")
def set_status(
    editor: Editor,
    cut: Cut,
    session: Transaction,
    status: Annotated[Literal["active", "inactive"], Form()],
) -> Response:
    catalogue.set_look_status(session, cut, status)
    return back(PAGE, f"look-{status}")


@router.post("/{cut}/try")
def try_on(orderer: Orderer, cut: Cut, session: Transaction, color_id: ColorId) -> Response:
    """A draft of this cut in some cloth."""
    order = generations.Order(color_id, [cut], orderer.owner, quality="preview")
    return back(f"{HOME}/orders/{generations.place(session, order)}", "look-try")


# --- uploads --------------------------------------------------------------------------------------


@router.post("/packs")
def upload_pack(editor: Editor, request: Request, address: Address, file: UploadFile) -> Response:
    """A finished pack: a ZIP of its pictures and look.json."""
    _count(address)
    try:
        return _submitted(editor, request, pack_in(_read(file)))
    except InvalidInput as error:
        return _refused(editor, request, "pack", error)


@router.post("/photos")
def upload_photo(
    editor: Editor,
    request: Request,
    address: Address,
    photo: UploadFile,
    mask: UploadFile,
    panels: UploadFile,
    name: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """A photo of a suit, a mask of its cloth, and panels.json."""
    _count(address)
    try:
        files = photo_in(_read(photo), _read(mask), _read(panels), name)
        return _submitted(editor, request, files)
    except InvalidInput as error:
        return _refused(editor, request, "photo", error, name)


@router.post("/uploads/{id}/try")
def try_upload(orderer: Orderer, id: UUID, session: Transaction, color_id: ColorId) -> Response:
    """A draft of what was uploaded, before anybody else sees it."""
    look = look_uploads.as_look(look_uploads.find(session, id))
    order = generations.Order(color_id, [look.cut], orderer.owner, quality="preview", trial=look)
    return back(f"{HOME}/orders/{generations.place(session, order)}", "look-try")


@router.post("/uploads/{id}/activate")
def activate(editor: Editor, id: UUID, session: Transaction) -> Response:
    look_uploads.activate(session, id)
    return back(PAGE, "look-active")


@router.post("/uploads/{id}/discard")
def discard(editor: Editor, id: UUID, session: Transaction) -> Response:
    look_uploads.discard(session, id)
    return back(PAGE, "look-discard")


def _count(address: str) -> None:
    count_against_limit("upload", address, settings().uploads_per_minute)


def _read(file: UploadFile) -> bytes:
    """The upload's bytes, never more than one over the limit."""
    return file.file.read(PACK_MAX_BYTES + 1)


def _submitted(editor: Principal, request: Request, found: LookFiles) -> Response:
    """Stored first: what no row names is swept. Raises InvalidInput for a cut of the house."""
    with transaction_of(request) as session:
        look_uploads.refuse_house_cut(session, found.cut)
    id, content = uuid7(), packs.bundled(found.files)
    sha256 = packs.sha256_of(content)
    name = found.cut if found.kind == "pack" else "source"
    letter = LookLetter(
        upload_id=id,
        cut=found.cut,
        name=found.name,
        kind=found.kind,
        source_key=packs.bundle_key(id, name, sha256),
        source_sha256=sha256,
    )
    storage().put(letter.source_key, content, packs.CONTENT_TYPE)
    with transaction_of(request) as session:
        look_uploads.submit(session, letter, editor.owner)
    return back(PAGE, "look-upload")


def _refused(
    editor: Principal, request: Request, kind: str, error: InvalidInput, name: str = ""
) -> Response:
    said = {"error": str(error), "wrong": kind, "typed": name}
    with transaction_of(request) as session:
        return _page(editor, request, session, status_of(error), said)


# --- the page -------------------------------------------------------------------------------------


def _page(
    reader: Principal,
    request: Request,
    session: Session,
    status: int = 200,
    said: Mapping[str, str] = NOTHING,
) -> Response:
    """`said`: a refusal, which of the two forms it is about, and the name that was typed there."""
    uploads = [row for row in look_uploads.listed(session) if row.state != "on"]
    values = {
        "looks": [(row, _overlays(row.pack, row.pack_version)) for row in catalogue.looks(session)],
        "uploads": [(row, _overlays(row.cut, row.pack_version)) for row in uploads],
        "making": any(row.state == "making" for row in uploads),
        "families": catalogue.shop_families(session),
        "may_edit": reader.may(WRITE_CATALOGUE),
        "may_order": reader.may(PLACE_ORDERS),
    }
    return page("looks", request, reader, status, **values, **said)


def _overlays(pack: str, version: str | None) -> list[tuple[str, str]]:
    """(layer, key) of each that a worker has drawn."""
    if version is None:
        return []
    stored = {found.key for found in storage().list(overlay_key(pack, version, ""))}
    keys = [(layer, overlay_key(pack, version, layer)) for layer in OVERLAYS]
    return [(layer, key) for layer, key in keys if key in stored]
