"""The sales floor's page: what it shows, what it carries, and that it weighs little."""

import gzip
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select

from api.pages import bundle, environment, floor
from models import database
from models.catalogue import Fabric, FabricFamily

MODULES = {name: (bundle.FOLDER / name).read_text() for name in bundle.BUNDLE.modules()}
STYLES = {path.name: path.read_text() for path in bundle.FOLDER.glob("*.css")}
TEMPLATES = sorted((Path(floor.__file__).parent / "templates").glob("*.html"))
TEMPLATE = "\n".join(path.read_text() for path in TEMPLATES)
PAGE_BYTES_MAX, SCRIPT_BYTES_MAX, FONT_BYTES_MAX = 120_000, 60_000, 30_000


class Document(HTMLParser):
    """The elements of a page in their order, as (tag, attributes), and its texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def links(self) -> set[str]:
        """Every address that the page loads from /static."""
        values = (a.get("href") or a.get("src", "") for _, a in self.elements)
        return {value.split("#")[0] for value in values if value.startswith("/static/")}


@pytest.fixture
def page(client: httpx.Client) -> Document:
    answer = client.get("/")
    assert answer.status_code == 200
    return Document(answer.text)


@pytest.fixture
def hidden_fabric(seeded: str) -> Iterator[str]:
    """The color_id of a fabric that is inactive for this test."""
    with database.transaction() as session:
        fabric = session.scalars(select(Fabric).order_by(Fabric.id).limit(1)).one()
        fabric.status = "inactive"
    yield fabric.color_id
    with database.transaction() as session:
        session.get_one(Fabric, fabric.id).status = "active"


@pytest.fixture
def hostile_family(seeded: str) -> Iterator[str]:
    """A family whose names try to break out of the page."""
    name = "\"><script>alert('tela')</script>"
    fabric = Fabric(color_id="hostil", name=name, hex_value="#123456")
    with database.transaction() as session:
        family = FabricFamily(family_id="hostil", display_name=name, fabrics=[fabric])
        session.add(family)
    yield name
    with database.transaction() as session:
        session.delete(session.get_one(FabricFamily, family.id))


def test_the_page_offers_every_active_fabric_in_the_catalogues_order(
    client: httpx.Client, page: Document
) -> None:
    families = client.get("/catalog").json()["families"]
    expected = [color["color_id"] for family in families for color in family["colors"]]
    offered = [a["data-color"] for a in page.all("button") if "data-color" in a]
    assert len(expected) >= 25
    assert offered == expected


def test_an_inactive_fabric_is_nowhere_on_the_page(hidden_fabric: str, page: Document) -> None:
    values = {value for _, attributes in page.elements for value in attributes.values()}
    assert hidden_fabric not in values


def test_every_fabric_shows_its_woven_thumbnail_and_its_code(
    client: httpx.Client, page: Document
) -> None:
    tiles = [a for a in page.all("button") if "data-color" in a]
    thumbnails = [a["src"] for a in page.all("img") if a.get("src", "").startswith("/files/")]
    assert len(thumbnails) == len(tiles)
    assert all(tile["data-code"] in page.texts for tile in tiles)
    assert all(float(tile["data-width-mm"]) > 0 for tile in tiles)
    picture = client.get(thumbnails[0])
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")


def test_every_cut_and_both_together_can_be_chosen(page: Document) -> None:
    cuts = [a["value"] for a in page.all("input") if a.get("name") == "cut"]
    assert cuts == ["recto", "cruzado", "tres-piezas", "esmoquin", "ambos"]


def test_there_is_one_head_and_one_way_to_read_templates() -> None:
    heads = [
        path.name for path in environment.TEMPLATES.rglob("*.html") if "<head>" in path.read_text()
    ]
    assert heads == ["document.html"]
    pages = Path(floor.__file__).parent
    makers = [path.name for path in pages.glob("*.py") if "= Environment(" in path.read_text()]
    assert makers == ["environment.py"]


def test_no_sentence_is_a_method_of_its_table(page: Document) -> None:
    assert not [text for text in page.texts if "built-in" in text]


def test_an_order_has_an_address_of_its_own_that_leads_to_the_floor(client: httpx.Client) -> None:
    id = uuid4()
    answer = client.get(f"/g/{id}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/?orden={id}")


def test_the_page_is_in_mexican_spanish(page: Document) -> None:
    assert page.all("html")[0]["lang"] == "es-MX"


def test_names_from_the_catalogue_are_text_and_never_markup(
    hostile_family: str, client: httpx.Client
) -> None:
    html = client.get("/").text
    assert hostile_family not in html
    assert hostile_family in [a.get("data-name") for a in Document(html).all("button")]


def test_the_page_has_no_inline_script_style_or_handler(page: Document) -> None:
    for attributes in page.all("script"):
        assert attributes.get("src") or attributes["type"] == "application/json"
    assert not page.all("style")
    names = {name for _, attributes in page.elements for name in attributes}
    assert "style" not in names
    assert not {name for name in names if name.startswith("on")}


def test_the_content_policy_allows_nothing_inline_and_nobody_else(client: httpx.Client) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_every_file_that_the_page_names_is_served_for_ever(
    client: httpx.Client, page: Document
) -> None:
    assert {name.rsplit("/", 1)[1] for name in page.links()} >= {"floor.js", "floor.css"}
    for url in page.links():
        answer = client.get(url)
        assert answer.status_code == 200, url
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_every_file_that_a_style_or_module_names_exists() -> None:
    named = {f for text in STYLES.values() for f in re.findall(r'url\("([^"]+)"\)', text)}
    named |= {f for text in MODULES.values() for f in re.findall(r'from "\./([^"]+)"', text)}
    assert "fonts/eb-garamond.woff2" in named
    assert "order.js" in named
    assert {name for name in named if name not in bundle.BUNDLE} == set()


def test_no_file_is_left_that_nothing_names(client: httpx.Client, page: Document) -> None:
    styles = {f for text in STYLES.values() for f in re.findall(r'url\("([^"]+)"\)', text)}
    urls = page.links()
    for path in ("/gallery", "/gallery/compare"):
        urls |= Document(client.get(path).text).links()
    linked = {url.removeprefix(f"/static/{bundle.BUNDLE.version}/") for url in urls}
    present = {p.relative_to(bundle.FOLDER).as_posix() for p in bundle.FOLDER.rglob("*.*")}
    licences = {name for name in present if name.endswith(".OFL.txt")}
    assert len(licences) == 2
    assert present - licences == linked | styles


def test_a_file_of_another_release_is_not_found(client: httpx.Client) -> None:
    current = bundle.BUNDLE.url("floor.js")
    assert client.get(current).status_code == 200
    other = current.replace(bundle.BUNDLE.version, "0" * 12)
    assert client.get(other).status_code == 404
    assert client.get(current.replace("floor.js", "../floor.py")).status_code == 404


def test_scripts_and_styles_travel_compressed(client: httpx.Client) -> None:
    for name in ("floor.js", "floor.css"):
        url = bundle.BUNDLE.url(name)
        packed = client.get(url, headers={"Accept-Encoding": "gzip"})
        plain = client.get(url, headers={"Accept-Encoding": "identity"})
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert packed.content == plain.content == (bundle.FOLDER / name).read_bytes()


def test_the_page_weighs_little(client: httpx.Client) -> None:
    scripts = sum(len(gzip.compress(text.encode())) for text in MODULES.values())
    styles = sum(len(gzip.compress(text.encode())) for text in STYLES.values())
    html = len(gzip.compress(client.get("/").content))
    assert 0 < scripts <= SCRIPT_BYTES_MAX
    assert scripts + styles + html <= PAGE_BYTES_MAX
    fonts = [path.stat().st_size for path in bundle.FOLDER.glob("fonts/*.woff2")]
    assert fonts
    assert max(fonts) <= FONT_BYTES_MAX


def _sentence(key: str) -> Any:
    branch: Any = floor.STRINGS.of["es"]["js"]
    for name in key.split("."):
        branch = branch[name]
    return branch


def _keys(branch: dict[str, Any], before: str = "") -> Iterator[str]:
    for name, value in branch.items():
        if isinstance(value, dict):
            yield from _keys(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def _used_keys() -> set[str]:
    """The keys of every sentence that the modules look up, with what they add to each."""
    source = "\n".join(MODULES.values())
    used = set(re.findall(r'\bt\(\s*"([^"]+)"', source))
    for key in re.findall(r'\btCount\("([^"]+)"', source):
        used |= {f"{key}_one", f"{key}_other"}
    for group in re.findall(r'\btCode\("([^"]+)"', source):
        used |= {f"{group}.{code}" for code in floor.STRINGS["js"][group]}
    for prefix in re.findall(r"\bt\(`([^$`]+)\$", source):
        states = set(re.findall(r'state: "(\w+)"', source)) - {"ready"}
        used |= {f"{prefix}{state}" for state in states}
    return used


def test_every_sentence_that_a_module_looks_up_is_there() -> None:
    used = _used_keys()
    assert {"stage.no_workers", "stage.ahead_other", "reason.photo_failed"} <= used
    assert all(isinstance(_sentence(key), str) for key in used)
    assert "unknown" in floor.STRINGS["js"]["degraded"]


def test_no_sentence_is_left_that_nothing_looks_up() -> None:
    assert set(_keys(floor.STRINGS["js"])) == _used_keys()
    pages = set(_keys(floor.STRINGS["page"]))
    looked_up = set(re.findall(r"\bt\.([a-z_.]+[a-z_])", TEMPLATE.replace(".format(", " (")))
    groups = tuple(re.findall(r"\bt\.([a-z_.]+)\[", TEMPLATE))  # looked up by a value
    assert {"facet", "of"} <= set(groups)
    by_name = {key for key in looked_up if not key.startswith(groups)}
    assert {key for key in pages if not key.startswith(groups)} == by_name


def test_every_placeholder_of_a_sentence_is_filled_by_a_module() -> None:
    source = "\n".join(MODULES.values())
    placeholders = {
        name for key in _used_keys() for name in re.findall(r"\{(\w+)\}", _sentence(key))
    }
    assert "cloth" in placeholders
    assert {name for name in placeholders if not re.search(rf"\b{name}\b", source)} == set()


def test_template_and_modules_hold_no_sentences_of_their_own() -> None:
    source = re.sub(r"{% block kind %}[\w -]*{% endblock %}", "", TEMPLATE)
    bare = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", "", source, flags=re.DOTALL)
    assert not [text for text in Document(bare).texts if re.search(r"[^\W\d_]", text)]
    spoken = {"aria-label", "alt", "title", "placeholder"}
    for _, attributes in Document(bare).elements:
        assert not {name for name in spoken & set(attributes) if attributes[name].strip()}
    for name, source in MODULES.items():
        literals = re.findall(r'"([^"\n]*)"', re.sub(r"//.*", "", source))
        assert not [text for text in literals if re.search(r"[áéíóúñ¿¡]", text)], name


def test_a_closed_shop_asks_who_it_is_and_lets_staff_in(
    client: httpx.Client, owner: httpx.Client, setting: Callable[..., None]
) -> None:
    setting(shop_access="token")
    refused = client.get("/")
    assert (refused.status_code, refused.headers["location"]) == (303, "/console/sign-in?next=/")
    assert owner.get("/").status_code == 200
