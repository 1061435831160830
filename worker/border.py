"""Border: how far a swatch's border is spread, by a lens out of focus or by a hand that moved.

Yarns may lie along a movement and look sharp; of four sides, two at least lie across it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.corners import Corners

REACH_PX = 56  # to both sides of a border, in a photo 1600 px long
PLACES = 48  # along each side
STEP_MIN = 0.15  # of log light between cloth and table: less shows no border

Grey = NDArray[np.float32]


def border_width_px(grey: Grey, corners: Corners) -> float | None:
    """How many pixels it takes from cloth to table (linear light), on the least sharp side.

    None where cloth and table are too alike to tell. A pinked border is sharp at each place.
    """
    sides = zip(corners, np.roll(corners, -1, axis=0), strict=True)
    widths = [_width_px(_across(grey, start, end)) for start, end in sides]
    seen = [width for width in widths if width is not None]
    return max(seen) if seen else None


def _across(grey: Grey, start: NDArray[np.float64], end: NDArray[np.float64]) -> Grey:
    """Log light across a side, a row for each place that lies whole in the picture."""
    along = (end - start) / max(1e-9, float(np.linalg.norm(end - start)))
    places = start + np.linspace(0.1, 0.9, PLACES)[:, None, None] * (end - start)
    steps = np.arange(-REACH_PX, REACH_PX + 1)[None, :, None] * np.array([-along[1], along[0]])
    x, y = np.moveaxis((places + steps).astype(np.float32), 2, 0)
    light = cv2.remap(grey, x, y, cv2.INTER_LINEAR, borderValue=-1.0)
    rows = np.asarray(light, np.float32)[(np.asarray(light) >= 0).all(axis=1)]
    return np.log(np.maximum(rows, np.float32(1e-3)))


def _width_px(log: Grey) -> float | None:
    """Median over the rows of the step from end to end over the steepest slope."""
    if len(log) < PLACES // 3:
        return None
    ends, kernel = REACH_PX // 3, np.array([0.25, 0.5, 0.25], np.float32)[None, :]
    step = np.abs(log[:, :ends].mean(axis=1) - log[:, -ends:].mean(axis=1))
    if float(np.median(step)) < STEP_MIN:
        return None
    slope = np.abs(np.diff(np.asarray(cv2.filter2D(log, -1, kernel)), axis=1)).max(axis=1)
    return float(np.median(step / np.maximum(slope, 1e-6)))
