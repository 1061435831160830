"""A glimpse of a picture that is still being painted: latents read as colours, without a network.

How latents read as colours is not looked up but fitted: the drape is known in pixels and in
latents, so least squares tells it for this VAE and these colours.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from worker.engines import Picture

Floats = NDArray[np.float32]
RIDGE = 1e-3  # keeps the fit calm where a drape has few colours; beside thousands of cells nothing


def glimpse(part: Picture, known: torch.Tensor, clean: torch.Tensor) -> Floats:
    """`clean`, the latents (4, h, w) as far as they can be told, as a picture: (h, w, 3) BGR 0..1.

    part: (H, W, 3) the drape that is painted over, and known: (4, h, w) its latents.
    """
    height, width = known.shape[-2:]
    cells = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    colours = cells.reshape(-1, 3) / 255
    seen, now = _rows(known), _rows(clean)
    weights = seen.T @ seen + RIDGE * np.eye(seen.shape[1])
    colours_of_latents = np.linalg.solve(weights, seen.T @ colours)  # (5, 3)
    levels = np.clip(now @ colours_of_latents, 0, 1)
    return levels.reshape(height, width, 3).astype(np.float32)


def _rows(latents: torch.Tensor) -> NDArray[np.float64]:
    """(h x w, 5): the channels of each cell, and a constant."""
    flat = latents.flatten(1).T.double().cpu().numpy()
    return np.column_stack([flat, np.ones(len(flat))])
