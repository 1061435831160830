"""A look on its stand: what the photoreal engines need of it, worked out once per recipe."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.errors import LookUnavailable
from worker.engines.colour_lock import flatness
from worker.engines.sdxl_maps import maps_of, maps_of_upload
from worker.engines.sdxl_mask import Box, freedom, scaled
from worker.engines.sdxl_recipe import Recipe
from worker.looks import Look, load_look

Boxing = Callable[[NDArray[np.uint8], tuple[int, int]], Box]


@dataclass(frozen=True, eq=False)
class Stand:
    """A look's geometry for one recipe; pictures are of the look's size unless said otherwise."""

    name: str
    version: str
    px_per_cm: float
    box: Box
    coverage: NDArray[np.uint8]  # (H, W) 0..255: how much of each pixel is cloth
    cover: NDArray[np.float32]  # (box height, box width) the same, 0..1
    flat: NDArray[np.float32]  # (box height, box width) 0..1: where the cloth lies flat
    freedom: torch.Tensor  # (1, 1, h, w)
    recipe: Recipe  # with the controls that this look can be led by
    degraded: tuple[str, ...]  # what the look lacks for the recipe, as stable codes
    maps: dict[str, torch.Tensor]  # (1, 3, recipe height, recipe width) 0..1


def stand_of(
    folder: Path, recipe: Recipe, cell_px: int, boxing: Boxing, is_upload: bool = False
) -> Stand:
    """Raises LookUnavailable when the pack or one of the recipe's maps is missing. Depth alone may
    be: of an upload and of a photo, which have no renderer. They are led by the other maps."""
    look = load_look(folder)
    coverage = np.where(look.panels > 0, look.alpha, 0).astype(np.uint8)
    box = boxing(coverage, recipe.size_px)
    stored = [name for name, scale in recipe.controls.items() if scale > 0 and name != "tile"]
    maps = (maps_of_upload if is_upload else maps_of)(folder, look, stored)
    lacks_depth = "depth" in stored and "depth" not in maps
    led = recipe.without_depth() if lacks_depth else recipe
    if lacks_depth and not any(led.controls.values()):
        raise LookUnavailable(f"El look «{look.name}» no tiene mapa que guíe su imagen.")
    free = freedom(_nearest(box.of(coverage), recipe.size_px), cell_px, recipe.feather_cells)
    return Stand(
        name=look.name,
        version=look.version,
        px_per_cm=look.px_per_cm,
        box=box,
        coverage=coverage,
        cover=np.asarray(box.of(coverage) / np.float32(255), np.float32),
        flat=flatness(box.of(light_of(look)), look.px_per_cm),
        freedom=torch.from_numpy(free)[None, None],
        recipe=led,
        degraded=("no-depth",) if lacks_depth else (),
        maps={name: _map(box.of(image), recipe.size_px) for name, image in maps.items()},
    )


def light_of(look: Look) -> NDArray[np.float32]:
    """The look's light as a picture, (H, W): 1 where cloth is fully lit, 0 where there is none."""
    light = np.zeros(look.panels.size, np.float32)
    light[look.at] = look.light.reshape(-1)[: len(look.at)]
    return light.reshape(look.panels.shape)


def _nearest(part: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(part, size_px, interpolation=cv2.INTER_NEAREST), np.uint8)


def _map(part: NDArray[np.uint8], size_px: tuple[int, int]) -> torch.Tensor:
    grey = torch.from_numpy(scaled(part, size_px)).float() / 255
    return grey.expand(1, 3, -1, -1)
