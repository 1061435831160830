"""The mark of the house: in its box, legible on any ground, and never anywhere else."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import InvalidInput
from worker.watermark import Watermark

SIZES = [(1024, 1536), (2048, 3072), (256, 384), (64, 64), (1536, 200), (333, 71)]


def flat(width: int, height: int, level: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("level", [235, 15])
def test_only_the_box_in_the_lower_right_corner_changes(
    width: int, height: int, level: int
) -> None:
    mark, picture = Watermark(), flat(width, height, level)
    marked = mark.apply(picture)
    left, top, box_width, box_height = mark.box(width, height)
    assert 0 < left < left + box_width < width
    assert 0 < top < top + box_height < height
    changed = (marked != picture).any(axis=2)
    assert changed[top : top + box_height, left : left + box_width].mean() > 0.02
    changed[top : top + box_height, left : left + box_width] = False
    assert not changed.any()


def test_the_mark_is_a_seventh_of_the_width() -> None:
    left, top, width, height = Watermark().box(1024, 1536)
    assert width == pytest.approx(0.14 * 1024, abs=1)
    assert left > 1024 / 2
    assert top > 1536 / 2
    assert height < width


def test_the_picture_that_was_given_stays_as_it_was() -> None:
    picture = flat(512, 768, 200)
    picture.flags.writeable = False
    marked = Watermark().apply(picture)
    assert (picture == 200).all()
    assert marked is not picture


@pytest.mark.parametrize("level", [0, 20, 60, 110, 160, 210, 235, 255])
def test_the_mark_reads_on_any_ground(level: int) -> None:
    marked = Watermark().apply(flat(1024, 1536, level))
    assert np.abs(marked.astype(int) - level).max() > 60


def test_the_mark_keeps_the_ink_it_has_where_that_reads(tmp_path: Path) -> None:
    path = tmp_path / "marca.png"
    ink = np.full((40, 100, 4), (30, 20, 160, 255), np.uint8)
    assert cv2.imwrite(str(path), ink)
    mark = Watermark(path)
    left, top, width, height = mark.box(1024, 1536)
    marked = mark.apply(flat(1024, 1536, 235))
    assert (marked[top : top + height, left : left + width] == (30, 20, 160)).all()


def test_marking_twice_from_one_picture_gives_the_same_bytes() -> None:
    mark, picture = Watermark(), flat(1024, 1536, 180)
    assert np.array_equal(mark.apply(picture), mark.apply(picture))


def test_a_picture_too_small_for_a_mark_is_refused() -> None:
    with pytest.raises(InvalidInput, match="64"):
        Watermark().apply(flat(63, 200, 100))


def test_a_missing_mark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="marca"):
        Watermark(tmp_path / "nada.png")


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_a_mark_that_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "marca.png"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="PNG RGBA"):
        Watermark(path)


def test_a_mark_without_transparency_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "marca.png"
    assert cv2.imwrite(str(path), flat(100, 40, 30))
    with pytest.raises(InvalidInput, match="PNG RGBA"):
        Watermark(path)
