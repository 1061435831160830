"""The visible mark of the house, laid over the lower right corner of every delivered picture."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInput
from worker.colour import LINEAR_OF_LEVEL, encoded
from worker.engines import Picture

HOUSE_MARK = Path(__file__).parent.parent / "assets" / "watermark.png"
WIDTH_SHARE = 0.14  # of the picture's width
MARGIN_SHARE = 0.025  # of the picture's shorter side
MIN_SIDE_PX = 64
MIN_CONTRAST = 4.0  # ratio below which the mark is printed in plain white or black
LUMINANCE_BGR = np.array([0.0722, 0.7152, 0.2126], np.float32)  # ITU-R BT.709


class Watermark:
    """A mark with transparency, laid over pictures at a size that suits each."""

    def __init__(self, path: Path | None = None) -> None:
        """Load an RGBA PNG; None: the house's own. Raises InvalidInput when it is not one."""
        self._mark = _premultiplied(path or HOUSE_MARK)
        self._fitted: dict[tuple[int, int], NDArray[np.float32]] = {}

    def apply(self, picture: Picture) -> Picture:
        """A marked copy; pixels outside `box` are untouched. Raises InvalidInput below 64 px."""
        left, top, width, height = self.box(picture.shape[1], picture.shape[0])
        marked = picture.copy()
        under = marked[top : top + height, left : left + width]
        mark = _legible(self._fit(width, height), LINEAR_OF_LEVEL[under])
        blended = mark[..., :3] + LINEAR_OF_LEVEL[under] * (1 - mark[..., 3:])
        under[...] = np.round(encoded(blended) * 255)
        return marked

    def box(self, picture_width: int, picture_height: int) -> tuple[int, int, int, int]:
        """Left, top, width and height of the mark in a picture of that size, in pixels."""
        shorter = min(picture_width, picture_height)
        if shorter < MIN_SIDE_PX:
            raise InvalidInput(f"La imagen mide menos de {MIN_SIDE_PX} píxeles.", "picture")
        margin = max(1, round(MARGIN_SHARE * shorter))
        mark_height, mark_width = self._mark.shape[:2]
        scale = min(WIDTH_SHARE * picture_width / mark_width, shorter / 2 / mark_height)
        width, height = (max(1, round(side * scale)) for side in (mark_width, mark_height))
        return picture_width - margin - width, picture_height - margin - height, width, height

    def _fit(self, width: int, height: int) -> NDArray[np.float32]:
        if (width, height) not in self._fitted:
            small = cv2.resize(self._mark, (width, height), interpolation=cv2.INTER_AREA)
            self._fitted[width, height] = np.asarray(small, np.float32)
        return self._fitted[width, height]


def _legible(mark: NDArray[np.float32], ground: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mark, or its silhouette in white or black where its own colour would hardly show."""
    coverage = mark[..., 3:]
    ink = float((mark[..., :3] @ LUMINANCE_BGR).sum() / max(1e-6, coverage.sum()))
    below = float((ground @ LUMINANCE_BGR).mean())
    if _contrast(ink, below) >= MIN_CONTRAST:
        return mark
    white = float(_contrast(1, below) > _contrast(0, below))
    return np.concatenate([np.repeat(coverage * np.float32(white), 3, axis=2), coverage], axis=2)


def _contrast(one: float, other: float) -> float:
    """Contrast ratio of two luminances (WCAG 2.2)."""
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def _premultiplied(path: Path) -> NDArray[np.float32]:
    """(height, width, 4): linear light BGR times coverage, and coverage 0..1."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise InvalidInput(f"No se puede leer la marca de agua {path}.", "watermark") from error
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None or image.ndim != 3 or image.shape[2] != 4 or image.dtype != np.uint8:
        raise InvalidInput(f"La marca de agua {path} no es un PNG RGBA de 8 bits.", "watermark")
    coverage = image[..., 3:].astype(np.float32) / 255
    return np.concatenate([LINEAR_OF_LEVEL[image[..., :3]] * coverage, coverage], axis=2)
