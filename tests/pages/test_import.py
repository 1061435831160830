"""Import and export of fabrics: what is shown before it is written, and files that mean no good."""

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from api import fabric_list, photo_folder
from models.errors import InvalidInput
from tests.console import Document, read
from tests.orders import sql
from tests.wire import a_photo

AT = "/console/catalogue/import"
HEADER = "color_id,name,family_id,hex_value,swatch_code,status,swatch_width_mm\n"


@pytest.fixture(autouse=True)
def family(clean: None) -> Iterator[int]:
    """A family of one fabric, gone afterwards with all that was imported into it."""
    id: int = sql(
        "INSERT INTO fabric_families (family_id, display_name) VALUES ('prueba', 'Prueba')"
        " RETURNING id"
    )
    sql(
        "INSERT INTO fabrics (fabric_family_id, color_id, name, hex_value, swatch_code,"
        " swatch_width_mm) VALUES (:id, 'prueba-gris', 'Gris', '#808080', 'X-01', 96.470588235)",
        id=id,
    )
    yield id
    sql("DELETE FROM fabrics WHERE fabric_family_id = :id", id=id)
    sql("DELETE FROM fabric_families WHERE id = :id", id=id)


def uploaded(browser: httpx.Client, content: bytes | str, name: str = "telas.csv") -> Document:
    """The page that tells what this file would change, or why it is refused."""
    raw = content.encode() if isinstance(content, str) else content
    answer = browser.post(AT, files={"file": (name, raw)})
    assert answer.status_code in (200, 422), answer.text
    return Document(answer.text)


def applied(browser: httpx.Client, plan: Document) -> httpx.Response:
    (action,) = (f["action"] for f in plan.all("form") if f.get("action", "").startswith(f"{AT}/"))
    return browser.post(action, data={"digest": plan.value("digest")})


def fabrics() -> dict[str, Any]:
    found: dict[str, Any] = sql(
        "SELECT json_object_agg(color_id, json_build_array(name, hex_value, swatch_code, status,"
        " swatch_width_mm)) FROM fabrics WHERE fabric_family_id ="
        " (SELECT id FROM fabric_families WHERE family_id = 'prueba')"
    )
    return found


def swatch_of(color_id: str) -> str | None:
    found: str | None = sql("SELECT swatch_key FROM fabrics WHERE color_id = :id", id=color_id)
    return found


# --- a list ---------------------------------------------------------------------------------------


def test_a_list_is_shown_row_by_row_and_written_only_when_it_is_applied(
    browser: httpx.Client,
) -> None:
    before = fabrics()
    rows = (
        "prueba-gris,Gris perla,prueba,#818181,X-01,active,96.470588235\n"
        "prueba-azul,Azul,prueba,#112233,,,\n"
        "prueba-sin,,prueba,,,,\n"
        "prueba-mal,Mal,prueba,azul,,quizá,2\n"
        "prueba-lejos,Lejos,no-existe,#112233,,,\n"
        "prueba-azul,Otro azul,prueba,#112233,,,\n"
    )
    plan = uploaded(browser, HEADER + rows)
    assert "Altas 1 Cambios 1 Iguales 0 No entran 4" in plan.words
    assert "nombre: Gris Gris perla" in plan.words
    assert "color: #808080 #818181" in plan.words
    assert "Es una tela nueva y falta: nombre, color." in plan.words
    assert "No es válido: color, estado, ancho de la muestra, mm." in plan.words
    assert "No existe la familia «no-existe»." in plan.words
    assert "Esta clave ya está en la fila 3." in plan.words
    assert fabrics() == before
    report = applied(browser, plan)
    assert report.status_code == 200
    assert "Se aplicaron 2 de 6 filas." in Document(report.text).words
    assert fabrics() == {
        "prueba-gris": ["Gris perla", "#818181", "X-01", "active", 96.470588235],
        "prueba-azul": ["Azul", "#112233", None, "active", None],
    }
    assert applied(browser, plan).status_code == 404  # once


def test_an_import_is_in_the_log_row_by_row(browser: httpx.Client) -> None:
    before = sql("SELECT coalesce(max(id), 0) FROM audit")
    applied(browser, uploaded(browser, "color_id,name\nprueba-gris,Gris perla\n"))
    entry = "SELECT json_build_array(action, before, after) FROM audit WHERE id > :id"
    assert sql(entry, id=before) == ["update", {"name": "Gris"}, {"name": "Gris perla"}]


def test_nothing_is_written_when_the_catalogue_changed_since_it_was_shown(
    browser: httpx.Client,
) -> None:
    plan = uploaded(browser, "color_id,name\nprueba-gris,Gris perla\n")
    sql("UPDATE fabrics SET name = 'De otro' WHERE color_id = 'prueba-gris'")
    refused = applied(browser, plan)
    assert refused.status_code == 409
    assert "El catálogo cambió mientras tanto" in refused.text
    assert fabrics()["prueba-gris"][0] == "De otro"


def test_what_was_exported_comes_back_unchanged(browser: httpx.Client) -> None:
    sql("UPDATE fabrics SET name = '=1+1', mill = '@SUM(A1)' WHERE color_id = 'prueba-gris'")
    answer = browser.get("/console/catalogue/export.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "telas.csv" in answer.headers["content-disposition"]
    plan = uploaded(browser, answer.content)
    total = sql("SELECT count(*) FROM fabrics")
    assert f"Altas 0 Cambios 0 Iguales {total} No entran 0" in plan.words


def test_no_exported_cell_is_a_formula(browser: httpx.Client) -> None:
    for formula in ("=cmd|' /C calc'!A0", "+1", "-2", "@SUM(A1)"):
        sql("UPDATE fabrics SET name = :name WHERE color_id = 'prueba-gris'", name=formula)
        text = browser.get("/console/catalogue/export.csv?family=prueba").content.decode(
            "utf-8-sig"
        )
        (row,) = csv.DictReader(io.StringIO(text))
        assert row["name"] == f"'{formula}"


def test_the_export_holds_what_the_list_shows(browser: httpx.Client) -> None:
    text = browser.get("/console/catalogue/export.csv?q=prueba-gris").content.decode("utf-8-sig")
    assert [row["color_id"] for row in csv.DictReader(io.StringIO(text))] == ["prueba-gris"]
    page = read(browser, "/console/catalogue?q=prueba-gris&sort=code")
    hrefs = {a["href"] for a in page.all("a")}
    assert "/console/catalogue/export.csv?q=prueba-gris&sort=code" in hrefs


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_list_is_read_as_spreadsheets_write_it(encoding: str, delimiter: str) -> None:
    rows = [["color_id", "name"], ["a", "Añil"], [], ["b", "Dos, tres"]]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(rows)
    lines = fabric_list.read(out.getvalue().encode(encoding))
    assert [(line.number, line.color_id, line.fields) for line in lines] == [
        (2, "a", {"name": "Añil"}),
        (4, "b", {"name": "Dos, tres"}),
    ]


BAD_LISTS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "another encoding": lambda: "color_id,name\na,Añil\n".encode("latin-1"),
    "no header": lambda: b"a,b\nc,d\n",
    "a column twice": lambda: b"color_id,name,name\na,b,c\n",
    "a column that is not": lambda: b"color_id,precio\na,1\n",
    "a quote left open": lambda: b'color_id,name\na,"b\n',
    "a cell without end": lambda: b"color_id,name\na," + b"x" * 200_000,
    "too many rows": lambda: b"color_id\n" + b"a\n" * 10_001,
    "too many bytes": lambda: b"color_id\n" + b"a" * 5_000_001,
    "a picture": a_photo,
}


@pytest.mark.parametrize("kind", BAD_LISTS)
def test_what_is_no_list_is_refused_in_words(kind: str) -> None:
    with pytest.raises(InvalidInput):
        fabric_list.read(BAD_LISTS[kind]())


@pytest.mark.parametrize("cell", ["a\x00b", "a\nb", "x" * 201, "\x1b[31m"])
def test_a_cell_that_no_fabric_could_hold_is_refused_with_its_row(cell: str) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([["color_id", "name"], ["a", cell]])
    (line,) = fabric_list.read(out.getvalue().encode())
    assert (line.refusal, line.facts) == ("wrong", {"columns": ["name"]})


def test_ten_thousand_rows_are_read_and_one_more_is_too_many() -> None:
    rows = b"".join(b"prueba-%d,Tela\n" % n for n in range(fabric_list.ROWS_MOST))
    assert len(fabric_list.read(b"color_id,name\n" + rows)) == fabric_list.ROWS_MOST
    with pytest.raises(InvalidInput, match="10000 filas"):
        fabric_list.read(b"color_id,name\n" + rows + b"una-mas,Tela\n")


def test_more_rows_than_a_page_tells_are_imported_in_one_transaction(
    browser: httpx.Client,
) -> None:
    browser.timeout = httpx.Timeout(120)
    rows = "".join(f"prueba-{n},Tela {n},prueba,#102030\n" for n in range(1500))
    plan = uploaded(browser, "color_id,name,family_id,hex_value\n" + rows)
    assert "Altas 1,500" in plan.words
    assert "Y 1,000 más." in plan.words
    assert applied(browser, plan).status_code == 200
    assert len(fabrics()) == 1501


# --- photos ---------------------------------------------------------------------------------------


def a_folder(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as folder:
        for name, content in files.items():
            folder.writestr(name, content)
    return out.getvalue()


def test_photos_find_their_cloth_by_code_and_are_stored_when_they_are_applied(
    browser: httpx.Client,
) -> None:
    folder = a_folder(
        {
            "muestras/x-01.png": a_photo(),
            "nadie.jpg": a_photo(kind="JPEG"),
            "prueba-gris.png": a_photo("#112233"),
            "roto.jpg": b"no es una foto",
            "__MACOSX/x-01.png": b"",
            "muestras/.DS_Store": b"",
        }
    )
    plan = uploaded(browser, folder, "muestras.zip")
    assert "Muestras nuevas 1 No entran 3" in plan.words
    assert "Ninguna tela tiene el código «nadie»." in plan.words
    assert "Otra foto es ya de esta tela." in plan.words
    assert "No pudimos abrir la foto." in plan.words
    assert swatch_of("prueba-gris") is None
    assert applied(browser, plan).status_code == 200
    assert re.fullmatch(r"catalogue/swatch-[0-9a-f]{32}\.jpg", swatch_of("prueba-gris") or "")
    assert fabrics()["prueba-gris"][4] is None  # how wide the new photo is nobody has said


def test_a_path_in_a_name_leads_nowhere() -> None:
    names = ["../../etc/x-01.png", "/abs/x-02.png", "C:\\dir\\x-03.png", "a/../x-04.png"]
    found = photo_folder.read(a_folder({name: a_photo() for name in names}))
    assert [named.code for named in found] == ["x-01", "x-02", "x-03", "x-04"]


def test_a_bomb_is_read_no_further_than_a_photo_may_be_large() -> None:
    bomb = a_folder({"x-01.png": b"\0" * 60_000_000}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    (named,) = photo_folder.read(bomb)
    assert named.photo is None
    assert "10 MB" in named.refusal


def test_a_folder_in_a_folder_is_no_photo() -> None:
    (named,) = photo_folder.read(a_folder({"x-01.zip": a_folder({"x-01.png": a_photo()})}))
    assert named.photo is None


BAD_FOLDERS: dict[str, Callable[[], bytes]] = {
    "cut off": lambda: a_folder({"x-01.png": a_photo()})[:-30],
    "too many": lambda: a_folder({f"{n}.png": b"" for n in range(101)}),
    "a vast directory": lambda: a_folder({f"{n:060}.png": b"" for n in range(2000)}),
    "only its beginning": lambda: b"PK\x03\x04",
}


@pytest.mark.parametrize("kind", BAD_FOLDERS)
def test_what_is_no_folder_of_photos_is_refused(browser: httpx.Client, kind: str) -> None:
    content = BAD_FOLDERS[kind]()
    with pytest.raises(InvalidInput):
        list(photo_folder.read(content))
    assert uploaded(browser, content, "x.zip").all("form")


def test_broken_bytes_inside_are_the_photos_own_fault() -> None:
    whole = a_folder({"x-01.png": a_photo(size=(300, 300)), "x-02.png": a_photo()})
    place = whole.index(b"IDAT") + 8
    broken = whole[:place] + b"\xff\xff\xff" + whole[place + 3 :]
    first, second = photo_folder.read(broken)
    assert first.photo is None
    assert second.photo is not None


def test_only_an_import_may_be_larger_than_a_photo(browser: httpx.Client) -> None:
    content = b"color_id\n" + b"a" * 11_000_000
    assert "La lista es demasiado grande" in uploaded(browser, content).words
    elsewhere = browser.post("/console/catalogue/fabrics", files={"file": ("x.png", content)})
    assert elsewhere.status_code == 413


# --- who, and what is left ------------------------------------------------------------------------


def test_what_waits_to_be_applied_can_be_read_by_nobody(browser: httpx.Client) -> None:
    plan = uploaded(browser, "color_id,name\nprueba-gris,Gris perla\n")
    (action,) = (f["action"] for f in plan.all("form") if f.get("action", "").startswith(f"{AT}/"))
    token = action.rpartition("/")[2].replace("-", "_")
    assert browser.get(f"/files/imports/{token}").status_code == 403
    assert browser.post(f"{AT}/{'x' * 32}", data={"digest": "0" * 64}).status_code == 404
    assert browser.post(f"{AT}/..%2f..%2fx", data={"digest": "0" * 64}).status_code in (404, 422)
