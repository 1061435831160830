"""sdxl_full: the whole picture painted by SDXL from noise, led by the look's shape and the swatch.

The alternative to sdxl_inpaint: the suit and what is around it are new each time. The cloth's
colour is still held to the drape, since depth and edges keep the suit where the look has it.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from worker.engines import Picture
from worker.engines.colour_lock import locked
from worker.engines.sdxl_inpaint import Floats, SdxlInpaintEngine
from worker.engines.sdxl_mask import Box, scaled, whole
from worker.engines.sdxl_stand import Stand


class SdxlFullEngine(SdxlInpaintEngine):
    """As SdxlInpaintEngine, but nothing is kept of the drape's picture. See Engine."""

    name = "sdxl_full"
    version = "2"

    def _box(self, coverage: NDArray[np.uint8], size_px: tuple[int, int]) -> Box:
        return whole(coverage)

    def _freedom(self, stand: Stand) -> torch.Tensor:
        return torch.ones_like(stand.freedom)

    def _finished(self, drape: Picture, painted: Floats, stand: Stand) -> Picture:
        part = np.clip(scaled(painted, (stand.box.width, stand.box.height)), 0, 1)
        wanted = np.asarray(drape / np.float32(255), np.float32)
        held = locked(part, wanted, stand.cover, stand.px_per_cm, self.recipe.colour_lock)
        mixed = part + stand.cover[..., None] * (held - part)
        return np.asarray(np.clip(mixed * 255 + 0.5, 0, 255), np.uint8)
