"""Draws assets/watermark.png, the house mark; run by hand: python -m devops.watermark.

Two lines of serif capitals over a needle and its thread, all of them outlines from this file: no
font is used. One dark ink; the worker prints it light where the ground is dark.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

OUT = Path(__file__).parent.parent / "assets" / "watermark.png"
LINES = ("ATELIER", "VIRTUAL")
WIDTH_PX, HEIGHT_PX = 640, 300
FINER = 4  # drawn this much larger, then averaged down
CAP = 100.0  # units of the letters: height of the capitals
STEM, HAIR, SERIF = 12.0, 5.5, 9.0
INK_BGR, INK_SHARE = (36, 32, 30), 0.78

Points = NDArray[np.float64]


def line(x0: float, y0: float, x1: float, y1: float, width: float) -> list[Points]:
    """A stroke as a quadrilateral; y runs up from the baseline."""
    along = np.array([x1 - x0, y1 - y0])
    side = np.array([-along[1], along[0]]) / np.hypot(*along) * width / 2
    start, end = np.array([x0, y0]), np.array([x1, y1])
    corners = np.array([start + side, end + side, end - side, start - side])
    corners[:, 1] = np.clip(corners[:, 1], 0, CAP)  # slanted strokes end level with the line
    return [corners]


def serif(x: float, y: float, reach: float = SERIF + STEM / 2) -> list[Points]:
    inward = HAIR / 2 if y == 0 else -HAIR / 2
    return line(x - reach, y + inward, x + reach, y + inward, HAIR)


def stem(x: float) -> list[Points]:
    return line(x, 0, x, CAP, STEM) + serif(x, 0) + serif(x, CAP)


def arm(x0: float, x1: float, y: float, tip: float) -> list[Points]:
    inward = HAIR / 2 if y == 0 else -HAIR / 2 if y == CAP else 0.0
    end = line(x1 - HAIR / 2, y, x1 - HAIR / 2, y + tip, HAIR)
    return line(x0, y + inward, x1, y + inward, HAIR) + end


def ellipse(cx: float, cy: float, rx: float, ry: float, start: float, end: float) -> Points:
    angle = np.radians(np.linspace(start, end, 60))
    return np.stack([cx + rx * np.cos(angle), cy + ry * np.sin(angle)], axis=1)


def crescent(outer: Points, inner: Points) -> list[Points]:
    return [np.concatenate([outer, inner[::-1]])]


def bowl_of_r() -> list[Points]:
    """From the stem at x = 14: the upper half, thick at its right."""
    top, bottom = CAP, CAP * 0.46
    middle, half = (top + bottom) / 2, (top - bottom) / 2
    outer = ellipse(36, middle, 28, half, 90, -90)
    inner = ellipse(34, middle, 28 - STEM * 0.8, half - HAIR, 90, -90)
    joins = line(14, top - HAIR / 2, 36, top - HAIR / 2, HAIR)
    joins += line(14, bottom + HAIR / 2, 36, bottom + HAIR / 2, HAIR)
    return crescent(outer, inner) + joins


def hook_of_u() -> list[Points]:
    outer = ellipse(44, 34, 36, 36, 180, 360)
    inner = ellipse(45.5, 34, 26.5, 31, 180, 360)
    inner[:, 0] = np.clip(inner[:, 0], 14 + STEM / 2 - 0.5, 80 - HAIR)
    return crescent(outer, inner)


LETTERS: dict[str, tuple[float, list[Points]]] = {
    "A": (
        90,
        line(12, 0, 45, CAP, HAIR)
        + line(43, CAP, 76, 0, STEM)
        + line(24, 34, 64, 34, HAIR)
        + serif(12, 0, SERIF)
        + serif(77, 0),
    ),
    "T": (
        78,
        line(39, 0, 39, CAP, STEM) + serif(39, 0) + arm(39, 76, CAP, -20) + arm(39, 2, CAP, -20),
    ),
    "E": (72, stem(14) + arm(14, 64, CAP, -20) + arm(14, 66, 0, 22) + line(14, 52, 48, 52, HAIR)),
    "L": (68, stem(14) + arm(14, 64, 0, 24)),
    "I": (28, stem(14)),
    "R": (80, stem(14) + bowl_of_r() + line(36, 48, 70, 0, STEM) + serif(72, 0, SERIF)),
    "V": (
        88,
        line(13, CAP, 45, 0, STEM)
        + line(44, 0, 77, CAP, HAIR)
        + serif(12, CAP)
        + serif(77, CAP, SERIF),
    ),
    "U": (
        92,
        line(14, 34, 14, CAP, STEM)
        + line(80 - HAIR / 2, 34, 80 - HAIR / 2, CAP, HAIR)
        + hook_of_u()
        + serif(14, CAP)
        + serif(80 - HAIR / 2, CAP, SERIF),
    ),
}


class Sheet:
    """A coverage picture drawn from polygons in pixels of the mark, y downwards."""

    def __init__(self) -> None:
        self.coverage = np.zeros((HEIGHT_PX * FINER, WIDTH_PX * FINER), np.uint8)

    def fill(self, points: Points) -> None:
        corners = np.round(points * FINER * 16).astype(np.int32)
        cv2.fillPoly(self.coverage, [corners], 255, cv2.LINE_8, shift=4)

    def stroke(self, points: Points, width: float) -> None:
        corners = np.round(points * FINER * 16).astype(np.int32)
        thickness = max(1, round(width * FINER))
        cv2.polylines(self.coverage, [corners], False, 255, thickness, cv2.LINE_8, shift=4)

    def write(self, text: str, baseline: float, left: float, right: float, scale: float) -> None:
        """Letters spread evenly between two margins."""
        widths = [LETTERS[letter][0] * scale for letter in text]
        gap = (right - left - sum(widths)) / (len(text) - 1)
        for letter, width in zip(text, widths, strict=True):
            for outline in LETTERS[letter][1]:
                self.fill(outline * [scale, -scale] + [left, baseline])
            left += width + gap

    def picture(self) -> NDArray[np.uint8]:
        """BGRA."""
        size = (WIDTH_PX, HEIGHT_PX)
        ink = cv2.resize(self.coverage, size, interpolation=cv2.INTER_AREA)
        picture = np.empty((HEIGHT_PX, WIDTH_PX, 4), np.uint8)
        picture[..., :3] = INK_BGR
        picture[..., 3] = np.round(ink * INK_SHARE)
        return picture


def needle(sheet: Sheet, y: float) -> None:
    """A needle to the right, its eye to the left, the thread coming back in one loop."""
    tip, eye = 560.0, 330.0
    along = np.linspace(0, 1, 80)
    half = 5.2 * np.minimum(1, (1 - along) * 2.2) * np.minimum(1, 0.55 + along * 4)
    upper = np.stack([eye + (tip - eye) * along, y - half], axis=1)
    lower = np.stack([eye + (tip - eye) * along, y + half], axis=1)
    sheet.fill(np.concatenate([upper, lower[::-1]]))
    hole = ellipse(eye + 17, y, 10, 1.8, 0, 360)
    cv2.fillPoly(sheet.coverage, [np.round(hole * FINER * 16).astype(np.int32)], 0, shift=4)
    t = np.linspace(0, 1, 300)
    x = 80 + (eye + 17 - 80) * t + 58 * np.sin(2 * np.pi * t)
    loop = np.stack([x, y + 17 * (1 - np.cos(2 * np.pi * t))], axis=1)
    sheet.stroke(loop, 3.4)


def main() -> None:
    sheet = Sheet()
    sheet.write(LINES[0], 104, 40, 600, 0.74)
    sheet.write(LINES[1], 204, 40, 600, 0.74)
    needle(sheet, 246)
    cv2.imwrite(str(OUT), sheet.picture(), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
