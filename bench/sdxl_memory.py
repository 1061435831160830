"""The most memory that a cut needs on a card, counted: every storage alive, on the meta device.

Weights are resident, the VAE works on one picture at a time, and attention keeps no scores. Not
counted: what cuDNN and cuBLAS work in, gaps between blocks, and CUDA itself (some 0.5 GB).
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch.utils._pytree import tree_leaves
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from bench.sdxl import FULL, pipeline_of, scene_of, unet_of, vae_of
from bench.sdxl_kernels import reordered, watched
from worker.engines.sdxl_denoise import denoise
from worker.engines.sdxl_pipeline import Pipeline
from worker.engines.sdxl_recipe import INPAINT, Recipe, for_warming_up

GB = 1e9
BLOCK_BYTES = 512  # the allocator rounds up to these
CARD_GB = 24.0
PHASES = ("swatch", "encode", "denoise", "decode")


class Memory:
    """Bytes of all storages that have been seen and are still there, and the most in each phase."""

    def __init__(self) -> None:
        self.now = 0
        self.peaks: dict[str, int] = {}
        self._peak = 0
        self._seen: set[int] = set()

    def hold(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata in self._seen:
            return
        size = -(-storage.nbytes() // BLOCK_BYTES) * BLOCK_BYTES
        self._seen.add(storage._cdata)
        self.now += size
        self._peak = max(self._peak, self.now)
        weakref.finalize(storage, self._let_go, storage._cdata, size)

    def _let_go(self, number: int, size: int) -> None:
        self._seen.discard(number)
        self.now -= size

    def ran(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> None:
        """What an operation made, and what it needed a copy of for as long as it ran."""
        for tensor in tree_leaves(answer):
            if isinstance(tensor, torch.Tensor):
                self.hold(tensor)
        if (copied := reordered(func, args)) is not None:
            self.hold(torch.empty_like(copied))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self._peak = self.now
        with watched(self.ran):
            yield
        self.peaks[name] = max(self.peaks.get(name, 0), self._peak)


def hold_weights(memory: Memory, *networks: Any) -> None:
    for network in networks:
        for tensor in (*network.parameters(), *network.buffers()):
            memory.hold(tensor)


def of_recipe(pipeline: Pipeline, recipe: Recipe, cuts: int) -> tuple[int, int, dict[str, int]]:
    """Bytes of a batch: the weights, the batch's own tensors, and the most in each phase."""
    memory = Memory()
    parts = (pipeline.base.unet, pipeline.control, pipeline.vae, pipeline.image_encoder)
    hold_weights(memory, *parts)
    weights = memory.now
    _paint(pipeline, recipe, cuts, memory)
    return weights, memory.peaks.pop("scene") - weights, memory.peaks


def _paint(pipeline: Pipeline, recipe: Recipe, cuts: int, memory: Memory) -> None:
    """As the engine does; steps of one kind are alike, so one of each is enough."""
    recipe = for_warming_up(recipe, "cuda")
    width, height = recipe.size_px
    views = len(recipe.swatch_views_cm)
    with memory.phase("scene"):
        scene = scene_of(pipeline, FULL, recipe, cuts)
        drapes = torch.empty(cuts, 3, height, width, device="meta")
    with memory.phase("swatch"):
        pixels = torch.empty(views, 3, 224, 224, device="meta", dtype=pipeline.dtype)
        sight = pipeline.image_encoder
        sight(pixels, output_hidden_states=True)  # type: ignore[misc]
    with memory.phase("encode"):
        known = pipeline.encode(drapes)
    with memory.phase("denoise"):
        painted = denoise(pipeline, recipe, replace(scene, known=known), lambda _: None)
    with memory.phase("decode"):
        pipeline.decode(painted).float()


def text_encoders() -> list[Any]:
    """SDXL's two, on the meta device."""
    small, large = (
        CLIPTextConfig(
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            projection_dim=width,
            vocab_size=49408,
            max_position_embeddings=77,
        )
        for width, layers, heads in ((768, 12, 12), (1280, 32, 20))
    )
    with torch.device("meta"):
        return [CLIPTextModel(small).half(), CLIPTextModelWithProjection(large).half()]


def of_rival(sliced: bool) -> tuple[int, int, dict[str, int]]:
    """diffusers' inpaint pipeline as the older system ran it: text encoders resident, guidance in
    one batch of two, the VAE in float32, as that of SDXL asks for."""
    with torch.device("meta"):
        unet, vae = unet_of(FULL, in_channels=9).half(), vae_of(FULL)
    resident, memory = [unet, vae, *text_encoders()], Memory()
    hold_weights(memory, *resident)
    weights = memory.now
    with memory.phase("scene"):
        asked = question(unet)
        pictures = torch.empty(1, 3, *FULL.picture_px[::-1], device="meta")
    if sliced:
        unet.set_attention_slice("auto")
    with memory.phase("encode"):
        latents = vae.encode(pictures).latent_dist.mode()
    with memory.phase("denoise"):
        unet(**asked)
    with memory.phase("decode"):
        vae.decode(latents)
    return weights, memory.peaks.pop("scene") - weights, memory.peaks


def question(unet: Any) -> dict[str, Any]:
    """What the rival asks its UNet at every step."""
    cells = [side // 8 for side in FULL.picture_px[::-1]]
    with torch.device("meta"):
        made = {
            "sample": torch.empty(2, unet.config.in_channels, *cells),
            "encoder_hidden_states": torch.empty(2, 77, FULL.words),
        }
        added = {"text_embeds": torch.empty(2, FULL.pooled), "time_ids": torch.empty(2, 6)}
    made = {name: tensor.to(unet.dtype) for name, tensor in made.items()}
    added = {name: tensor.to(unet.dtype) for name, tensor in added.items()}
    return made | {"timestep": torch.zeros((), device="meta"), "added_cond_kwargs": added}


def memory() -> None:
    width, height = FULL.picture_px
    print(f"GB of a card for a {width} x {height} cut, half precision, counted (no card was used)")
    print(f"{'':34}{'weights':>9}{'batch':>7}" + "".join(f"{'+' + name:>9}" for name in PHASES))
    for how in (False, True):
        _tell(f"diffusers inpaint, sliced {'on' if how else 'off'}", *of_rival(how))
    pipeline = pipeline_of(FULL, "meta", torch.float16)
    for profile, recipe in INPAINT.items():
        for cuts in (1, 2):
            _tell(f"{profile}, {cuts} cut{'s' * (cuts > 1)}", *of_recipe(pipeline, recipe, cuts))


def _tell(name: str, weights: int, batch: int, peaks: dict[str, int]) -> None:
    more = {phase: (peaks[phase] - weights - batch) / GB for phase in peaks}
    numbers = "".join(f"{more.get(phase, 0.0):9.2f}" for phase in PHASES)
    most = max(peaks.values()) / GB
    fits = "fits" if most < CARD_GB else "does not fit"
    print(
        f"{name:34}{weights / GB:9.2f}{batch / GB:7.2f}{numbers}"
        f"   most {most:.2f}, {fits} {CARD_GB:.0f}"
    )
