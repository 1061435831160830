"""docs/pages.md shows every small picture of a page that there is, and each is small."""

import re

from models.settings import ROOT

PAPER = ROOT / "docs" / "pages.md"
BYTES_MOST, PICTURES_MOST = 60_000, 40


def test_every_picture_of_a_page_is_shown_and_small() -> None:
    shown = re.findall(r"!\[[^\]]+\]\((screens/[\w-]+\.webp)\)", PAPER.read_text(encoding="utf-8"))
    stored = {
        path.relative_to(PAPER.parent).as_posix(): path for path in PAPER.parent.glob("screens/*")
    }
    assert len(shown) == len(set(shown)) > 20
    assert set(shown) == set(stored)
    assert len(stored) <= PICTURES_MOST
    assert all(path.stat().st_size <= BYTES_MOST for path in stored.values())
