"""A cut's seconds on cards that nobody had: calculated, not measured.

A kernel takes as long as its arithmetic at the card's peak or its bytes at the card's bandwidth,
whichever is longer, and begins when the one before is done and this thread has asked for it, which
takes LAUNCH_SECONDS. No kernel reaches both peaks: the seconds are a lower bound. The rival's text
encoders, scheduler and pictures are left out, in its favour; our CPU's share is measured here.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from bench.sdxl import (
    CARDS,
    FULL,
    RIVAL_STEPS,
    RIVAL_STRENGTH,
    Card,
    Kind,
    of_each_step,
    pipeline_of,
    scene_of,
    unet_of,
    vae_of,
)
from bench.sdxl_kernels import aten, reordered, watched
from bench.sdxl_memory import question
from models.settings import ROOT
from worker.engines import trial_letter
from worker.engines.drape import DrapeEngine
from worker.engines.sdxl_inpaint import SdxlInpaintEngine
from worker.engines.sdxl_mask import garment_box, scaled
from worker.engines.sdxl_pipeline import Pipeline
from worker.engines.sdxl_recipe import INPAINT, Recipe
from worker.engines.sdxl_stand import stand_of
from worker.looks import load_look
from worker.weights import Shelf

LAUNCH_SECONDS = 6e-6  # Python, dispatch and the driver, a kernel: usual, not measured
FREE = {aten.empty.memory_format, aten.empty_like.default, aten.empty_strided.default}
LOOKS = ROOT / "assets" / "looks"


@dataclass(frozen=True)
class Kernel:
    flops: float  # 2 a multiply-add
    moved: float  # bytes read and written
    kind: Kind

    def seconds_on(self, card: Card) -> float:
        return max(self.flops / card.peak(self.kind), self.moved / card.bytes_per_second)


def kernels_of(run: Callable[[], Any]) -> list[Kernel]:
    """What a card would be asked for, in order."""
    asked: list[Kernel] = []
    with watched(lambda *ran: asked.extend(_kernels(*ran))):
        run()
    return asked


def _kernels(func: Any, args: tuple[Any, ...], named: dict[str, Any], answer: Any) -> list[Kernel]:
    if func in FREE or func.is_view:
        return []
    packet = func._overloadpacket
    count = flop_registry.get(packet)
    flops = float(count(*args, **named, out_val=answer)) if count else 0.0
    read = [leaf for leaf in tree_leaves((args, named)) if isinstance(leaf, torch.Tensor)]
    made = [leaf for leaf in tree_leaves(answer) if isinstance(leaf, torch.Tensor)]
    one = Kernel(flops, sum(map(_size, read)) + sum(map(_size, made)), _kind(packet, read))
    first = []
    if (copied := reordered(func, args)) is not None:
        first.append(Kernel(0, 2 * _size(copied), one.kind))
    if packet is aten.native_group_norm:  # moments, their use, and only then the picture
        first += [Kernel(0, _size(read[0]), one.kind), Kernel(0, 0, one.kind)]
    return [*first, one]


def _kind(packet: Any, read: Sequence[torch.Tensor]) -> Kind:
    """Half precision is for tensor cores; of float32, as it comes, convolutions and attention."""
    if any(tensor.dtype == torch.float16 for tensor in read):
        return "half"
    fast = (aten.convolution, aten._scaled_dot_product_efficient_attention)
    return "tf32" if packet in fast else "single"


def _size(tensor: torch.Tensor) -> int:
    """In bytes; what is expanded is read once."""
    return int(min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()))


def seconds_on(card: Card, kernels: Sequence[Kernel]) -> float:
    """From the first kernel's start to the last one's end."""
    done = asked = 0.0
    for kernel in kernels:
        asked += LAUNCH_SECONDS
        done = max(done, asked) + kernel.seconds_on(card)
    return done


def of_recipe(pipeline: Pipeline, recipe: Recipe, cuts: int) -> list[Kernel]:
    """Cuts painted together in a cloth that was seen before, as the engine does."""
    scene = scene_of(pipeline, FULL, recipe, cuts)
    width, height = recipe.size_px
    drapes = torch.empty(cuts, 3, height, width, device="meta")
    encode = kernels_of(partial(pipeline.encode, drapes))
    painted = chain.from_iterable(of_each_step(pipeline, recipe, scene, kernels_of))
    return [*encode, *painted, *kernels_of(partial(pipeline.decode, scene.known))]


def of_rival(sliced: bool) -> list[Kernel]:
    """diffusers' inpaint pipeline: two encodes, a guided step at each call, float32 in the VAE."""
    with torch.device("meta"):
        unet, vae = unet_of(FULL, in_channels=9).half(), vae_of(FULL)
        picture = torch.empty(1, 3, *FULL.picture_px[::-1])
        latents = torch.empty(1, 4, *(side // 8 for side in FULL.picture_px[::-1]))
    if sliced:
        unet.set_attention_slice("auto")
    step = kernels_of(partial(unet, **question(unet)))
    encode = kernels_of(partial(vae.encode, picture))
    calls = int(RIVAL_STEPS * RIVAL_STRENGTH)
    return [*encode * 2, *step * calls, *kernels_of(partial(vae.decode, latents))]


# The CPU's share ---------------------------------------------------------------------------------


def cpu_seconds(recipe: Recipe, repeats: int) -> dict[str, float]:
    """One core's own seconds of a full-size cut outside the card, by what takes them; medians."""
    cv2.setNumThreads(1)
    engine = SdxlInpaintEngine(LOOKS, Shelf(ROOT, {}), recipe, ())
    look = load_look(LOOKS / "recto")
    stand = stand_of(LOOKS / "recto", recipe, 8, garment_box)
    drape = DrapeEngine(LOOKS)
    drape.setup()
    letter = trial_letter(look.name, look.version, (look.width_px, look.height_px), "#203060")
    draped = drape.render(letter, None, lambda _: None).picture
    width, height = recipe.size_px
    painted = np.random.default_rng(0).random((height, width, 3), np.float32)
    return {
        "drape": _median(lambda: drape.render(letter, None, lambda _: None), repeats),
        "crop": _median(lambda: scaled(stand.box.of(draped), recipe.size_px), repeats),
        "finish": _median(lambda: engine._finished(draped, painted, stand), repeats),
    }


def _median(run: Callable[[], Any], repeats: int) -> float:
    taken = []
    for _ in range(repeats + 1):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return statistics.median(taken[1:])


def roofline(repeats: int) -> None:
    print("CALCULATED, not measured: seconds a cut, every kernel at its card's peak")
    print(f"{'':32}{'kernels':>9}" + "".join(f"{name:>22}" for name in CARDS))
    rivals = {how: of_rival(how == "on") for how in ("off", "on")}
    best = {name: float("inf") for name in CARDS}
    for how, kernels in rivals.items():
        taken = {name: seconds_on(card, kernels) for name, card in CARDS.items()}
        best = {name: min(best[name], taken[name]) for name in CARDS}
        numbers = "".join(f"{seconds:22.3f}" for seconds in taken.values())
        print(f"{'diffusers inpaint, sliced ' + how:32}{len(kernels):9}{numbers}")
    pipeline = pipeline_of(FULL, "meta", torch.float16)
    for profile, recipe in INPAINT.items():
        cpu = cpu_seconds(recipe, repeats)
        for cuts in (1, SdxlInpaintEngine.batch_max):
            _tell(profile, cuts, of_recipe(pipeline, recipe, cuts), cpu, best)


def _tell(
    profile: str,
    cuts: int,
    kernels: Sequence[Kernel],
    cpu: dict[str, float],
    best: dict[str, float],
) -> None:
    """Of cuts painted together, a cut's share. All but the last are finished beside the card."""
    waited = cuts * (cpu["drape"] + cpu["crop"]) + cpu["finish"]
    parts = ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in cpu.items())
    numbers = ""
    for name, card in CARDS.items():
        seconds = (seconds_on(card, kernels) + waited) / cuts
        numbers += f"{seconds:12.3f} ({best[name] / seconds:4.1f} x)"
    print(f"{f'{profile}, {cuts} at once':32}{len(kernels):9}{numbers}")
    print(f"{'':32} of them this CPU's {waited / cuts:.3f}; a cut's: {parts}")
