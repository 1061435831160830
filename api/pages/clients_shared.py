"""/s/<token>: a lookbook as whoever has the link sees it, signed in or not.

The link is the only right there is: no cookie is read, so there is nothing that another site could
misuse. The page and its pictures are served through the token and end with it; nothing about the
client, the house's other orders or the way in is on them. No search engine, no Referer, no cache.
"""

import mimetypes
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Path, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from api import thumbnails
from api.deps import NEVER_CACHED, Address, Transaction, count_against_limit
from api.errors import told_by
from api.pages.clients import STRINGS, render
from models import lookbooks
from models.errors import NotFound
from models.lookbooks import LINK_OVER, Shown
from models.storage import storage

SHARED = "/s/"
READS_PER_MINUTE, WRITES_PER_MINUTE = 600, 30  # of one address; a lookbook is 25 reads at most
PRIVATE = {
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}
PICTURE = PRIVATE | {"Content-Security-Policy": "sandbox; default-src 'none'"}
SIZES_PX = {"small": thumbnails.WIDTH_PX, "large": thumbnails.LARGE_PX}  # how wide
Token = Annotated[str, Path(max_length=100)]
PageId = Annotated[int, Path(ge=0, le=2**63 - 1)]


def _count_read(address: Address) -> None:
    count_against_limit("lookbook", address, READS_PER_MINUTE)


def _count_write(address: Address) -> None:
    count_against_limit("lookbook-reply", address, WRITES_PER_MINUTE)


router = APIRouter(prefix="/s", include_in_schema=False, dependencies=[NEVER_CACHED])


@router.get("/{token}", dependencies=[Depends(_count_read)])
def read(request: Request, session: Transaction, token: Token) -> Response:
    share = lookbooks.opened(session, token)
    given = lookbooks.hearts(session, share.id)
    return _private(
        render(
            "shared",
            request,
            share=share,
            here=f"{SHARED}{token}",
            looks=[_seen_by(share.id, found, given) for found in _with_picture(session, share)],
            sizes_px=SIZES_PX,
            longest=lookbooks.COMMENT_MAX_CHARACTERS,
        )
    )


def _with_picture(session: Transaction, share: Any) -> list[Shown]:
    return [found for found in lookbooks.pages(session, share.lookbook_id) if found.job]


def _seen_by(share_id: Any, look: Shown, given: set[int]) -> dict[str, Any]:
    """Of what came back only what came through this very link."""
    own = [comment.words for comment in look.comments if comment.share_id == share_id]
    return {"look": look, "hearted": look.id in given, "comments": own}


@router.get(
    "/{token}/pictures/{page_id}",
    response_class=StreamingResponse,
    dependencies=[Depends(_count_read)],
)
def read_picture(
    session: Transaction, token: Token, page_id: PageId, size: Literal["small", "large", ""] = ""
) -> Response:
    """Whole, or in small, for as long as the link works: a revoked one shows no picture either."""
    share = lookbooks.opened(session, token)
    found = next((look for look in _with_picture(session, share) if look.id == page_id), None)
    if found is None or found.job is None or found.job.image is None:
        raise NotFound(LINK_OVER)
    key = found.job.image.object_key
    if size:
        small = thumbnails.of_stored(key, SIZES_PX[size])
        return Response(small, headers=PICTURE, media_type=thumbnails.MEDIA_TYPE)
    reading = storage().open(key)
    headers = PICTURE | {"Content-Length": str(reading.size_bytes)}
    media_type = mimetypes.guess_type(key)[0] or "application/octet-stream"
    return StreamingResponse(reading.chunks, headers=headers, media_type=media_type)


@router.post("/{token}/looks/{page_id}/heart", dependencies=[Depends(_count_write)])
def set_heart(
    session: Transaction,
    token: Token,
    page_id: PageId,
    given: Annotated[Literal["yes", "no"], Form()],
) -> Response:
    share = lookbooks.opened(session, token)
    lookbooks.set_heart(session, share.id, page_id, given == "yes")
    return _back(token, page_id)


@router.post("/{token}/looks/{page_id}/comments", dependencies=[Depends(_count_write)])
def comment(
    session: Transaction,
    token: Token,
    page_id: PageId,
    words: Annotated[str, Form(max_length=5000)],
) -> Response:
    share = lookbooks.opened(session, token)
    lookbooks.comment(session, share.id, page_id, words)
    return _back(token, page_id)


def _back(token: str, page_id: int) -> Response:
    return _private(RedirectResponse(f"{SHARED}{token}#look-{page_id}", 303))


def _private(answer: Response) -> Response:
    answer.headers.update(PRIVATE)
    return answer


def _tell(request: Request, status: int, message: str) -> Response:
    """A link that does not work says so and no more: not whether there ever was one."""
    words = STRINGS["shared"]
    over = status == 404
    title = words["over"] if over else words["often"] if status == 429 else words["refused"]
    to = None if over else "/".join(request.url.path.split("/")[:3])
    line = words["over_line"] if over else message
    return _private(render("shared_problem", request, status, title=title, line=line, to=to))


told_by[SHARED] = _tell
