"""The console's catalogue in Debian's Chromium: fabrics are dragged to another family."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browsing import sign_in
from tests.orders import sql

FAMILY_OF = "SELECT fabric_family_id FROM fabrics WHERE id = :id"


@pytest.fixture
def page(opened: Callable[..., Page]) -> Page:
    """The owner, on the list of fabrics."""
    return sign_in(opened(), "/console/catalogue")


@pytest.fixture
def moved(page: Page) -> Iterator[list[int]]:
    """Two fabrics of the first page; they are where they were when the test is over."""
    boxes = page.locator("[name=ids]")
    ids = [int(boxes.nth(place).input_value()) for place in (0, 1)]
    before = {id: sql(FAMILY_OF, id=id) for id in ids}
    yield ids
    for id, family in before.items():
        sql("UPDATE fabrics SET fabric_family_id = :family WHERE id = :id", family=family, id=id)


def other_family(id: int) -> int:
    found = sql(
        "SELECT min(id) FROM fabric_families WHERE id <> (SELECT fabric_family_id FROM fabrics"
        " WHERE id = :id)",
        id=id,
    )
    assert isinstance(found, int)
    return found


def row_of(page: Page, id: int) -> Locator:
    return page.locator("tr").filter(has=page.locator(f"[name=ids][value='{id}']"))


def drag(page: Page, id: int, family: int) -> None:
    """By the swatch, to the family's name, which appears once the dragging has begun."""
    swatch = row_of(page, id).locator(".swatch")
    swatch.hover()
    page.mouse.down()
    page.mouse.move(300, 400, steps=4)
    target = page.locator(f"[data-drop] [data-family='{family}']")
    expect(target).to_be_visible()
    target.hover()
    target.hover()  # some browsers tell a drag of its target at its second move only
    expect(target).to_have_class(re.compile("drop-over"))
    page.mouse.up()
    expect(page.get_by_role("heading", level=1)).to_have_text("Lo que se cambió")


def test_a_fabric_is_dragged_to_another_family(page: Page, moved: list[int]) -> None:
    id, stays = moved
    family, before = other_family(id), sql(FAMILY_OF, id=stays)
    drag(page, id, family)
    assert sql(FAMILY_OF, id=id) == family
    assert sql(FAMILY_OF, id=stays) == before


def test_what_is_ticked_is_dragged_together(page: Page, moved: list[int]) -> None:
    for id in moved:
        row_of(page, id).locator("label").click()
    family = other_family(moved[0])
    drag(page, moved[1], family)
    assert [sql(FAMILY_OF, id=id) for id in moved] == [family, family]


def test_the_menu_moves_a_fabric_by_keyboard(page: Page, moved: list[int]) -> None:
    id = moved[0]
    family = other_family(id)
    row_of(page, id).locator("[name=ids]").press("Space")
    page.get_by_label("Familia de destino").select_option(str(family))
    page.get_by_role("button", name="Mover a la familia").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Lo que se cambió")
    assert sql(FAMILY_OF, id=id) == family
    expect(page.locator("[data-drop]")).to_have_count(0)
