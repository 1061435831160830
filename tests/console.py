"""The console for tests: a browser's cookie without a browser, accounts of every role, a page read
as its elements and words."""

from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser

import httpx

from models import accounts
from models.database import transaction
from tests.conftest import OWNER_PASSWORD

PASSWORD = "una clave bien larga"


@contextmanager
def signed_in(
    base_url: str, username: str = "owner", password: str = OWNER_PASSWORD
) -> Iterator[httpx.Client]:
    """A client that holds the cookie of a session, and follows no redirect by itself."""
    with httpx.Client(base_url=base_url, trust_env=False, timeout=30) as client:
        form = {"username": username, "password": password}
        answer = client.post("/console/sign-in", data=form)
        assert answer.status_code == 303, answer.text
        yield client


def add_account(role: str) -> int:
    """An account `prueba-<role>` with PASSWORD; the fixture `as_role` removes it."""
    with transaction() as session:
        return accounts.add_user(session, f"prueba-{role}", PASSWORD, role).id


class Document(HTMLParser):
    """A page's elements in their order, as (tag, attributes), and its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def value(self, name: str) -> str:
        """What a field of the page's form holds."""
        return next(a.get("value", "") for a in self.all("input") if a.get("name") == name)

    @property
    def words(self) -> str:
        return " ".join(self.texts)


def read(client: httpx.Client, url: str, status: int = 200) -> Document:
    """One page; its status is checked."""
    answer = client.get(url)
    assert answer.status_code == status, f"{url}: {answer.text}"
    assert answer.headers["content-type"].startswith("text/html"), url
    return Document(answer.text)


def done(answer: httpx.Response) -> str:
    """A form that did what it says: the name of the sentence on the page that follows."""
    assert answer.status_code == 303, answer.text
    return httpx.URL(answer.headers["location"]).params["said"]
