"""sdxl_inpaint: the draped composite, painted over by SDXL inside the garment. See Engine.

    drape, crop to the garment, encode, denoise, decode, colour lock, weave, paste back

Outside the cloth the picture is the look's, byte for byte. Whatever cannot be had (a swatch, a map,
a weight) is an error: never another cloth, never a quieter picture. A look whose depth nobody has
is led by its other maps: its picture says so (`no-depth`), and its recipe names those that led it.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.errors import EngineFailed, LookUnavailable
from models.letter import Letter
from worker.engines import Order, Picture, Rendering, Tick, trial_letter
from worker.engines.colour_lock import locked, rewoven
from worker.engines.drape import FETCHED_KEPT, DrapeEngine, cloth_of
from worker.engines.sdxl_denoise import Scene, Seen, denoise
from worker.engines.sdxl_glimpse import glimpse
from worker.engines.sdxl_mask import Box, garment_box, pasted, scaled
from worker.engines.sdxl_memory import Ladder
from worker.engines.sdxl_pipeline import Pipeline, device_facts, load
from worker.engines.sdxl_recipe import Recipe, for_warming_up
from worker.engines.sdxl_stand import Stand, stand_of
from worker.engines.sdxl_swatch import SwatchSight
from worker.packs import folder_of
from worker.weights import Shelf

Floats = NDArray[np.float32]
DRAPED, PAINTED = 0.05, 0.92  # shares of the way, as ticks tell it
STEPS_BETWEEN_PREVIEWS = 3
NOT_CLOTH = {  # what a letter says about everything else
    "cut",
    "look",
    "look_version",
    "look_key",
    "look_sha256",
    "width_px",
    "height_px",
    "stage",
    "noise_seed",
    "swatch_key",
}


class SdxlInpaintEngine:
    """Renders one order at a time, or a batch of orders in one go of the network."""

    name = "sdxl_inpaint"
    version = "2"
    batch_max = 2  # both cuts of an order

    def __init__(self, looks_dir: Path, shelf: Shelf, recipe: Recipe, needs: Sequence[str]) -> None:
        self._looks_dir = looks_dir
        self._shelf = shelf
        self.recipe = recipe
        self.device = device_facts()["device"]
        self._needs = tuple(needs)
        self._drape = DrapeEngine(looks_dir)
        self._ladder = Ladder()
        self._stands: dict[str, Stand] = {}
        self._fetched_stands: OrderedDict[str, Stand] = OrderedDict()  # by the hash of the pack
        self._pipeline: Pipeline | None = None
        self._sight: SwatchSight | None = None

    @property
    def pipeline(self) -> Pipeline:
        if self._pipeline is None:
            raise EngineFailed(f"{self.name} is not set up")
        return self._pipeline

    def setup(self) -> None:
        """Load all and warm up, so that the first order does not wait.

        Raises WeightsMissing with what to pull, LookUnavailable with how to make a missing map.
        """
        self._shelf.require(self._needs, self.name)
        self._drape.setup()
        self._pipeline = load(self.recipe, self._shelf)
        if self._pipeline.image_encoder is not None:
            encoder = self._pipeline.image_encoder
            self._sight = SwatchSight(encoder, self.recipe.swatch_views_cm)
        folders = sorted(path.parent for path in self._looks_dir.glob("*/look.json"))
        cell_px = self._pipeline.cell_px
        for folder in folders:
            self._stands[folder.name] = stand_of(folder, self.recipe, cell_px, self._box)
        self._warm_up(folders[0], self.pipeline.device.type)

    def _warm_up(self, folder: Path, device: str) -> None:
        """Paint this look, alone and, where that has shapes of its own, in the largest batch."""
        trial = copy(self)
        trial.recipe = for_warming_up(self.recipe, device)
        stand = stand_of(folder, trial.recipe, self.pipeline.cell_px, self._box)
        trial._stands = {folder.name: stand}
        order = Order(trial._plain_letter(), None)
        for size in (1, self.batch_max) if device == "cuda" else (1,):
            trial.render_batch([order] * size, lambda _: None)

    def _plain_letter(self) -> Letter:
        """The first look in plain grey."""
        stand = next(iter(self._stands.values()))
        height_px, width_px = stand.coverage.shape
        return trial_letter(stand.name, stand.version, (width_px, height_px))

    def render(self, letter: Letter, swatch: bytes | None, tick: Tick) -> Rendering:
        return self.render_shown(Order(letter, swatch), tick)

    def render_shown(self, order: Order, tick: Tick) -> Rendering:
        return self.render_batch([order], tick)[0]

    def render_batch(self, orders: Sequence[Order], tick: Tick) -> list[Rendering]:
        """Render orders together; same bytes again only for a batch of the same size. Looks that
        are led by other maps are not painted together.

        Raises what Engine.render raises; EngineFailed when memory does not suffice for one.
        """
        made: dict[int, Rendering] = {}
        for numbers in self._alike(orders):
            some = [orders[number] for number in numbers]
            part = _within(tick, len(made) / len(orders), len(some) / len(orders))
            made |= zip(numbers, self._rendered_alike(some, part), strict=True)
        return [made[number] for number in range(len(orders))]

    def _alike(self, orders: Sequence[Order]) -> list[list[int]]:
        """The numbers of the orders, those together whose looks are led by the same maps."""
        led: dict[tuple[str, ...], list[int]] = {}
        for number, order in enumerate(orders):
            controls = self._stand(order.letter).recipe.controls
            led.setdefault(tuple(controls), []).append(number)
        return list(led.values())

    def _rendered_alike(self, orders: Sequence[Order], tick: Tick) -> list[Rendering]:
        ways = [lambda: self._rendered(orders, tick)]
        if len(orders) > 1:
            ways.append(lambda: [self._rendered([one], tick)[0] for one in orders])
        ways.append(lambda: [self._rendered_in_tiles(one, tick) for one in orders])
        return self._ladder.first_that_fits(ways)

    def _rendered(self, orders: Sequence[Order], tick: Tick) -> list[Rendering]:
        tick(0.0)
        drapes = [self._drape.render(o.letter, o.swatch, lambda _: None) for o in orders]
        stands = [self._stand(order.letter) for order in orders]
        tick(DRAPED)
        scene = self._scene(orders, drapes, stands)
        latents = denoise(
            self.pipeline,
            stands[0].recipe,
            scene,
            lambda share: tick(DRAPED + (PAINTED - DRAPED) * share),
            self._showing(orders, drapes, stands, scene),
        )
        pictures = self._all_finished(latents, drapes, stands)
        tick(1.0)
        return [
            Rendering(
                picture,
                self._record(order, drape, stand, len(orders)),
                drape.degraded + stand.degraded,
            )
            for picture, order, drape, stand in zip(pictures, orders, drapes, stands, strict=True)
        ]

    def _all_finished(
        self, latents: torch.Tensor, drapes: Sequence[Rendering], stands: Sequence[Stand]
    ) -> list[Picture]:
        """While the card decodes one, the CPU finishes the one before."""
        with ThreadPoolExecutor(max_workers=1) as cpu:
            pictures = _pictures_of(self.pipeline, latents)
            finishing = [
                cpu.submit(self._finished, drape.picture, painted, stand)
                for painted, drape, stand in zip(pictures, drapes, stands, strict=True)
            ]
            return [one.result() for one in finishing]

    def _rendered_in_tiles(self, order: Order, tick: Tick) -> Rendering:
        """The VAE in tiles: needs least memory, and plain cloth may differ from tile to tile."""
        self.pipeline.vae.enable_tiling()
        try:
            rendering = self._rendered([order], tick)[0]
        finally:
            self.pipeline.vae.disable_tiling()
        return replace(rendering, degraded=(*rendering.degraded, "vae-tiled"))

    def _stand(self, letter: Letter) -> Stand:
        if letter.look_sha256 is not None:
            return self._fetched(letter, letter.look_sha256)
        stand = self._stands.get(letter.look)
        if stand is None or stand.version != letter.look_version:
            raise LookUnavailable(f"El look «{letter.look}» no está en este equipo.")
        return stand

    def _fetched(self, letter: Letter, sha256: str) -> Stand:
        """Of a look that was uploaded, and that the worker has fetched."""
        if sha256 not in self._fetched_stands:
            while len(self._fetched_stands) >= FETCHED_KEPT:
                self._fetched_stands.popitem(last=False)
            folder = folder_of(letter, self._looks_dir)
            stand = stand_of(folder, self.recipe, self.pipeline.cell_px, self._box, is_upload=True)
            self._fetched_stands[sha256] = stand
        self._fetched_stands.move_to_end(sha256)
        return self._fetched_stands[sha256]

    def _scene(
        self, orders: Sequence[Order], drapes: Sequence[Rendering], stands: Sequence[Stand]
    ) -> Scene:
        pipeline, size_px = self.pipeline, self.recipe.size_px
        parts = [scaled(s.box.of(d.picture), size_px) for s, d in zip(stands, drapes, strict=True)]
        pictures = torch.cat([_tensor_of(p, pipeline.device) for p in parts])  # (B, 3, H, W)
        free = torch.cat([self._freedom(stand) for stand in stands]).to(pipeline.device)
        with torch.inference_mode():
            known = pipeline.encode(2 * pictures - 1)
            masked = self._masked(pictures, free)
        maps = {n: torch.cat([s.maps[n] for s in stands]) for n in stands[0].maps}
        return Scene(
            known=known,
            noise=_noise(orders, known).to(pipeline.device),
            freedom=free,
            maps={n: m.to(pipeline.device) for n, m in (maps | {"tile": pictures}).items()},
            swatch=self._swatches(orders),
            masked=masked,
        )

    def _masked(self, pictures: torch.Tensor, free: torch.Tensor) -> torch.Tensor | None:
        """(B, 5, h, w): for a UNet with 9 channels, the mask and the latents of what is around."""
        if self.pipeline.base.unet.config.in_channels == 4:
            return None
        mask = (free > 0).float()
        blank = torch.nn.functional.interpolate(mask, size=pictures.shape[-2:]).to(pictures.device)
        around = (2 * pictures - 1) * (1 - blank)
        return torch.cat([mask, self.pipeline.encode(around)], 1)

    def _swatches(self, orders: Sequence[Order]) -> torch.Tensor | None:
        """(2, B, views, 257, 1280)"""
        if self._sight is None:
            return None
        seen = [self._sight.of(_cloth_key(o.letter), cloth_of(o.letter, o.swatch)) for o in orders]
        return torch.stack(seen, 1)

    def _box(self, coverage: NDArray[np.uint8], size_px: tuple[int, int]) -> Box:
        return garment_box(coverage, size_px)

    def _freedom(self, stand: Stand) -> torch.Tensor:
        return stand.freedom

    def _finished(self, drape: Picture, painted: Floats, stand: Stand) -> Picture:
        """The picture: painted (recipe height, recipe width, 3) BGR 0..1, laid into the drape."""
        box, recipe = stand.box, self.recipe
        part = np.clip(scaled(painted, (box.width, box.height)), 0, 1)
        wanted = np.asarray(box.of(drape) / np.float32(255), np.float32)
        part = locked(part, wanted, stand.cover, stand.px_per_cm, recipe.colour_lock)
        part = rewoven(part, wanted, stand.flat, stand.px_per_cm, recipe.weave)
        return pasted(drape, part * 255, stand.coverage, box)

    def _showing(
        self,
        orders: Sequence[Order],
        drapes: Sequence[Rendering],
        stands: Sequence[Stand],
        scene: Scene,
    ) -> Seen:
        """Offers every order, after every few steps, to show it how far its picture is."""

        def seen(step: int, clean: torch.Tensor) -> None:
            if (step + 1) % STEPS_BETWEEN_PREVIEWS == 0:
                each = zip(orders, drapes, stands, scene.known, clean, strict=True)
                for order, drape, stand, *latents in each:
                    order.show(partial(self._preview, drape.picture, stand, *latents))

        return seen

    def _preview(
        self, drape: Picture, stand: Stand, known: torch.Tensor, clean: torch.Tensor
    ) -> Picture:
        """The picture as far as it is; its colour and its threads are the drape's already."""
        part = glimpse(stand.box.of(drape), known, clean)
        return self._finished(drape, part, stand)

    def _record(self, order: Order, drape: Rendering, stand: Stand, batch: int) -> dict[str, Any]:
        """Every value that shaped the picture."""
        return {
            "engine": self.name,
            "engine_version": self.version,
            **stand.recipe.as_json(),
            "look": stand.name,
            "look_version": stand.version,
            "box": [stand.box.left, stand.box.top, stand.box.width, stand.box.height],
            "swatch_sha256": order.letter.swatch_sha256,
            "noise_seed": order.letter.noise_seed,
            "batch": batch,
            "drape": drape.recipe,
            "weights": {n: self._shelf.named(n).revision for n in self._needs},
            "machine": device_facts(),
        }


def _within(tick: Tick, start: float, share: float) -> Tick:
    """Tells `tick` of a part of the way."""
    return lambda done: tick(start + share * done)


def _cloth_key(letter: Letter) -> Hashable:
    """All that the letter says about the cloth, and whatever else it may say one day: a view too
    many is embedded sooner than a wrong one is taken."""
    return letter.model_dump_json(exclude=NOT_CLOTH), letter.swatch_key is None


def _noise(orders: Sequence[Order], known: torch.Tensor) -> torch.Tensor:
    """(B, 4, h, w), drawn on the CPU: the same on every card, and in a batch as alone."""
    return torch.cat(
        [
            torch.randn(
                (1, *known.shape[1:]),
                generator=torch.Generator("cpu").manual_seed(order.letter.noise_seed),
            )
            for order in orders
        ]
    )


def _tensor_of(part: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """(H, W, 3) BGR levels to (1, 3, H, W) RGB 0..1, on the device: levels are small to copy."""
    rgb = cv2.cvtColor(part, cv2.COLOR_BGR2RGB)
    return torch.from_numpy(rgb).to(device).permute(2, 0, 1)[None].float() / 255


def _pictures_of(pipeline: Pipeline, latents: torch.Tensor) -> Iterator[Floats]:
    """Decode one after the other, to (H, W, 3) BGR 0..1 each."""
    for one in latents.split(1):
        with torch.inference_mode():
            pictures = _off_the_card(pipeline.decode(one).float() / 2 + 0.5)
        yield from pictures


def _off_the_card(pictures: torch.Tensor) -> list[Floats]:
    """From (B, 3, H, W) RGB, about 0..1. Raises EngineFailed for what is not a number."""
    if not bool(torch.isfinite(pictures).all()):
        raise EngineFailed("El dibujo no salió: la red dio valores que no son números.")
    return list(pictures.clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()[..., ::-1].copy())
