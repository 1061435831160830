"""How the image encoder sees a cloth: square views of known width, embedded once and kept.

CLIP crops the middle out of whatever it is given. So the cloth is laid out seamlessly and shown in
squares of exactly the encoder's size: the pattern, the weave, the threads.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from worker.cloth import Cloth, resampled
from worker.colour import encoded

MEAN = (0.48145466, 0.4578275, 0.40821073)  # of CLIP's training pictures, RGB 0..1
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
KEPT = 64  # cloths; 2 MB each of the card's memory


class SwatchSight:
    """Embeddings of cloths, (2, views, 257, 1280): of nothing, then of the cloth."""

    def __init__(self, encoder: Any, views_cm: Sequence[float]) -> None:
        self._encoder = encoder
        self._views_cm = tuple(views_cm)
        self._side_px = int(encoder.config.image_size)
        self._kept: OrderedDict[Hashable, torch.Tensor] = OrderedDict()
        nothing = torch.zeros(1, 3, self._side_px, self._side_px)
        self._nothing = self._embedded(nothing).expand(len(self._views_cm), -1, -1)

    def of(self, key: Hashable, cloth: Cloth) -> torch.Tensor:
        """The embedding of a cloth; `key` must name its pixels and its scale."""
        seen = self._kept.get(key)
        if seen is None:
            views = [view(cloth, width_cm, self._side_px) for width_cm in self._views_cm]
            seen = self._embedded(pixels_of(views))
            self._kept[key] = seen
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return torch.stack([self._nothing, seen])

    def _embedded(self, pixels: torch.Tensor) -> torch.Tensor:
        """(views, 3, side, side) to the encoder's last hidden layer but one, (views, 257, 1280)."""
        where = self._encoder.get_input_embeddings().weight
        with torch.inference_mode():
            hidden = self._encoder(pixels.to(where.device, where.dtype), output_hidden_states=True)
        return torch.as_tensor(hidden.hidden_states[-2])


def view(cloth: Cloth, width_cm: float, side_px: int) -> NDArray[np.uint8]:
    """A square of cloth, `width_cm` wide: (side_px, side_px, 3) RGB levels, averaged in light."""
    px_per_cm = side_px / width_cm
    tile = resampled(cloth, px_per_cm, 0.35 / px_per_cm)
    if cloth.px_per_cm < px_per_cm:  # seen closer than it was photographed
        size = [max(1, round(cm * px_per_cm)) for cm in cloth.size_cm]
        tile = cv2.resize(tile, size, interpolation=cv2.INTER_LINEAR).astype(np.float32)
    rows, columns = (np.arange(side_px) % length for length in tile.shape[:2])
    levels = encoded(np.clip(tile[rows][:, columns, ::-1], 0, 1)) * 255 + 0.5
    return levels.astype(np.uint8)


def pixels_of(views: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
    """(views, 3, side, side) as CLIP was trained."""
    levels = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 255
    mean, deviation = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    return (levels - mean) / deviation
