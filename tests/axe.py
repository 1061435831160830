"""What axe says of a page: its serious and critical issues."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = {"serious", "critical"}


def serious(page: Page, url: str) -> list[str]:
    """Open it with all its folds, and name each issue with the first element that has it."""
    page.goto(url)
    for fold in page.locator("details").all():
        fold.evaluate("fold => fold.open = true")
    return issues(page, url)


def issues(page: Page, state: str) -> list[str]:
    """The same for a page as it stands."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{state}: {one['id']}: {one['nodes'][0]['html'][:120]}"
        for one in violations
        if one["impact"] in GRAVE
    ]
