"""A client's dossier: everything that is held about one person, as plain data, with their pictures.

It is what an export hands over; a column added to the client book belongs here as well.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import accounts, audit, clients, lookbooks
from models.views import GenerationView


@dataclass(frozen=True)
class Dossier:
    """`about` is JSON; `pictures` are object keys by the file names that it gives them."""

    about: dict[str, Any]
    pictures: dict[str, str]


LOG = text("""
SELECT at, actor, action, after FROM audit
 WHERE subject_kind = 'client' AND subject_id = :id ORDER BY id
""")


def compile_dossier(session: Session, id: UUID) -> Dossier:
    """Raises NotFound."""
    client = clients.find(session, id)
    looks = clients.looks(session, id)
    pictures = {name: key for look in looks for name, key in _pictures(look.order).items()}
    about = {
        "client": _client(session, client),
        "looks": [_look(look) for look in looks],
        "lookbooks": [_lookbook(session, book) for book in lookbooks.of_client(session, id)],
        "log": [dict(row._mapping) for row in session.execute(LOG, {"id": str(id)})],
    }
    audit.record(session, "export", ("client", str(id)))
    return Dossier(about, pictures)


def _client(session: Session, client: clients.Client) -> dict[str, Any]:
    names = {f"user:{user.id}": user.username for user in accounts.users(session)}
    told = ("id", "name", "phone", "note", "consented_at", "consent_withdrawn_at", "created_at")
    about = {name: getattr(client, name) for name in (*told, "updated_at")}
    return about | {"recorded_by": names.get(client.recorded_by, client.recorded_by)}


def _look(look: clients.Look) -> dict[str, Any]:
    order = look.order
    return {
        "order": order.id,
        "ordered_at": order.created_at,
        "attached_at": look.attached_at,
        "cloth": order.fabric_name,
        "color_id": order.color_id,
        "own_swatch": order.uploaded_swatch,
        "cuts": order.cuts,
        "files": list(_pictures(order)),
    }


def _pictures(order: GenerationView) -> dict[str, str]:
    """Their own photo of cloth is theirs as well; one of the catalogue is not."""
    start = f"pictures/{order.number}"
    found = {
        f"{start}-{job.cut}-{job.stage}{_suffix(job.image.object_key)}": job.image.object_key
        for job in order.jobs
        if job.image
    }
    if order.uploaded_swatch and order.swatch_key:
        found[f"{start}-cloth{_suffix(order.swatch_key)}"] = order.swatch_key
    return found


def _suffix(key: str) -> str:
    return "." + key.rpartition(".")[2]


def _lookbook(session: Session, book: lookbooks.Lookbook) -> dict[str, Any]:
    return {
        "title": book.title,
        "created_at": book.created_at,
        "looks": [_page(page) for page in lookbooks.pages(session, book.id)],
        "links": [
            {name: getattr(link, name) for name in ("created_at", "expires_at", "revoked_at")}
            for link in lookbooks.links(session, book.id)
        ],
    }


def _page(page: lookbooks.Shown) -> dict[str, Any]:
    return {
        "order": page.order.id,
        "cut": page.cut,
        "note": page.note,
        "hearts": page.hearts,
        "comments": [_comment(comment) for comment in page.comments],
    }


def _comment(comment: Row[Any]) -> dict[str, Any]:
    return {"words": comment.words, "written_at": comment.written_at}
