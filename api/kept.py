"""Answers that are made of the catalogue alone, kept until it changes: whoever asks again waits for
one small query. Each says its version as an ETag, so that a browser need not load it again."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from fastapi import Request, Response

from api.files import link_hour
from models import catalogue
from models.database import Session
from models.settings import settings

ANSWERS_MOST = 64  # one a page, language, address and encoding


class Kept:
    """The last `most` answers by what they depend on; the one that was not asked for longest goes
    first. Two that ask at once may make it twice, which is only time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[Hashable, bytes] = OrderedDict()
        self._turn = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        body = self._answers.get(key)
        if body is None:
            body = make()
        with self._turn:
            self._answers[key] = body
            self._answers.move_to_end(key)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
        return body


KEPT = Kept(ANSWERS_MOST)


def answer(
    request: Request,
    session: Session,
    depends: tuple[str | None, ...],
    make: Callable[[], bytes],
    headers: dict[str, str],
) -> Response:
    """`make()`, unless this catalogue's answer for `depends` is kept, or the browser has it."""
    key = (catalogue.version(session), link_hour(), settings().public_files_url, *depends)
    etag = f'W/"{hashlib.sha256(repr(key).encode()).hexdigest()[:20]}"'
    headers = headers | {"ETag": etag, "Cache-Control": "private, no-cache"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(KEPT.get(key, make), headers=headers)
