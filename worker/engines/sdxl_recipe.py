"""Recipes: every value that shapes a photoreal picture, from a profile and the settings.

The draped composite already shows the right cloth at the right scale; diffusion adds how cloth
takes light. So strength stays low, and most steps run without guidance and ControlNet.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from models.settings import Settings

Share = tuple[float, float]  # of the steps: from, until
SMALLEST_PX = 64  # width of a picture that every level of the networks can still halve

PROMPT = (
    "studio photograph of a tailored suit on a mannequin, natural drape, crisp woven cloth,"
    " soft daylight, sharp focus, fine detail"
)
NEGATIVE = (
    "illustration, render, plastic, blurry, smooth texture, text, deformed lapel, extra button"
)


@dataclass(frozen=True)
class Recipe:
    """One picture's recipe. Shares count from 0 at the first step to 1 after the last.

    `controls` maps depth, edges and tile to the ControlNet's scale; those at 0 are left out.
    Looks whose depth cannot be had are led by `controls_without_depth`.
    """

    profile: str
    unet: str  # id of the weights
    size_px: tuple[int, int]  # width and height of what is diffused; multiples of 32
    steps: int  # that are really run
    strength: float  # of the training schedule's noise that is put on first, 0..1
    guidance: float  # weight of classifier-free guidance, 1 = none
    guided: Share
    controls: Mapping[str, float]
    controls_without_depth: Mapping[str, float]
    controlled: Share
    ip_scale: float  # of the swatch, in the style block only
    swatch_views_cm: tuple[float, ...]  # widths of the pieces of cloth that the image encoder sees
    feather_cells: int  # latent cells over which the mask opens; 0 = hard
    colour_lock: float  # 0..1
    weave: float  # 0..1: share of the cloth's fine detail that is put back after decoding
    refiner_from: float = 1.0  # share of the steps after which the refiner paints
    compiled: bool = False  # transformer blocks by torch.compile: other bits, hence of the recipe
    prompt: str = PROMPT
    negative: str = NEGATIVE

    def as_json(self) -> dict[str, Any]:
        """What is stored with a picture: of the controls, those that it was led by."""
        led = replace(self, controls=dict(self.controls), controls_without_depth={})
        return {n: value for n, value in asdict(led).items() if n != "controls_without_depth"}

    def without_depth(self) -> "Recipe":
        return replace(self, controls=self.controls_without_depth)

    def guides(self, step: int) -> bool:
        """Whether guidance is on in this step, counted from 0."""
        return self.guidance > 1 and _within(self.guided, step, self.steps)

    def controls_at(self, step: int) -> dict[str, float]:
        """The ControlNet's scales in this step; empty: it is not called."""
        on = _within(self.controlled, step, self.steps) and not self.refines(step)
        return {name: scale for name, scale in self.controls.items() if on and scale > 0}

    def refines(self, step: int) -> bool:
        return step / self.steps >= self.refiner_from

    def kinds_of_steps(self) -> set[tuple[bool, bool, bool]]:
        """What the networks are asked for in some step or other: guided, controlled, refined."""
        return {
            (self.guides(step), bool(self.controls_at(step)), self.refines(step))
            for step in range(self.steps)
        }


def for_warming_up(recipe: Recipe, device: str) -> Recipe:
    """The least that must be painted before the first order, on a device of this torch type.

    Fewer steps, as long as there is one of each kind. On CUDA at full size: kernels are chosen,
    memory is reserved and graphs are compiled for the very shapes that will be painted. On a CPU
    nothing is kept for a shape, so the smallest picture proves as much: that all parts run.
    """
    kinds = recipe.kinds_of_steps()
    fewer = (replace(recipe, steps=steps) for steps in range(1, recipe.steps + 1))
    recipe = next(few for few in fewer if few.kinds_of_steps() == kinds)
    if device == "cuda":
        return recipe
    width, height = recipe.size_px
    small = round(SMALLEST_PX * height / width / 32) * 32
    return replace(recipe, size_px=(SMALLEST_PX, small))


def _within(share: Share, step: int, steps: int) -> bool:
    return share[0] <= step / steps < share[1]


# ControlNet-Union weighs each map's features by its scale and adds them up before its first block,
# so the sum of the scales says how hard it is pushed. Published: depth 0.5 to 0.9, tile 0.3 to 0.6,
# edges for seams alone. Depth and edges tell one geometry twice: beside a drape, which shows the
# suit already, depth takes the lowest of its range and edges stay below it, 1.2 in all. From noise
# there is no drape, and depth leads; a tile would copy the drape. Without depth, edges take over.
# All chosen by thought, without the real weights: no picture tuned them.
DRAPED = MappingProxyType({"depth": 0.5, "edges": 0.3, "tile": 0.4})
DRAPED_WITHOUT_DEPTH = MappingProxyType({"edges": 0.5, "tile": 0.4})
FROM_NOISE = MappingProxyType({"depth": 0.7, "edges": 0.4})
FROM_NOISE_WITHOUT_DEPTH = MappingProxyType({"edges": 0.7})

STANDARD = Recipe(
    profile="standard",
    unet="sdxl-base",
    size_px=(768, 1408),
    steps=12,
    strength=0.40,
    guidance=4.5,
    guided=(0.0, 0.6),
    controls=DRAPED,
    controls_without_depth=DRAPED_WITHOUT_DEPTH,
    controlled=(0.0, 0.6),
    ip_scale=0.5,
    swatch_views_cm=(16.0, 6.0, 2.5),
    feather_cells=2,
    colour_lock=1.0,
    weave=0.8,
)
INPAINT = {
    "fast": replace(
        STANDARD,
        profile="fast",
        size_px=(640, 1152),
        steps=8,
        strength=0.35,
        guided=(0.0, 0.5),
        controlled=(0.0, 0.5),
    ),
    "standard": STANDARD,
    "best": replace(
        STANDARD,
        profile="best",
        size_px=(896, 1600),
        steps=20,
        guided=(0.0, 0.7),
        controlled=(0.0, 0.7),
    ),
}
FULL_STANDARD = replace(
    STANDARD,
    size_px=(832, 1248),
    steps=28,
    strength=1.0,
    guided=(0.0, 0.8),
    controls=FROM_NOISE,
    controls_without_depth=FROM_NOISE_WITHOUT_DEPTH,
    controlled=(0.0, 0.8),
    ip_scale=0.7,
    weave=0.0,
)
FULL = {
    "fast": replace(FULL_STANDARD, profile="fast", steps=18, guided=(0.0, 0.6)),
    "standard": FULL_STANDARD,
    "best": replace(FULL_STANDARD, profile="best", size_px=(1024, 1536), steps=40),
}


def inpaint_recipe(chosen: Settings) -> Recipe:
    """The recipe of sdxl_inpaint. INPAINT_STEPS counts as it always did: a share of it runs."""
    recipe = INPAINT[chosen.sdxl_profile]
    strength = chosen.inpaint_strength or recipe.strength
    steps = recipe.steps
    if chosen.inpaint_steps is not None:
        steps = max(1, int(chosen.inpaint_steps * strength))
    recipe = replace(
        recipe,
        unet=chosen.inpaint_model,
        strength=strength,
        steps=steps,
        guidance=chosen.inpaint_guidance or recipe.guidance,
    )
    return _with_parts(recipe, chosen, _first(chosen.inpaint_ip_adapter_scale, recipe.ip_scale))


def full_recipe(chosen: Settings) -> Recipe:
    """The recipe of sdxl_full: from noise, with the look's depth and edges."""
    recipe = FULL[chosen.sdxl_profile]
    recipe = replace(
        recipe,
        steps=chosen.total_steps or recipe.steps,
        guidance=chosen.guidance or recipe.guidance,
        refiner_from=chosen.refiner_split if chosen.use_refiner else 1.0,
    )
    return _with_parts(recipe, chosen, _first(chosen.ip_adapter_scale, recipe.ip_scale))


def _with_parts(recipe: Recipe, chosen: Settings, ip_scale: float) -> Recipe:
    """The recipe with what the IP_ADAPTER_* and CONTROLNET_* settings say."""
    depth = _named(depth=chosen.controlnet_weight)
    edges = _named(edges=chosen.controlnet2_weight)
    on = chosen.controlnet_enabled
    start, end = recipe.controlled
    return replace(
        recipe,
        controls={**recipe.controls, **depth, **edges} if on else {},
        controls_without_depth={**recipe.controls_without_depth, **edges} if on else {},
        controlled=(
            _first(chosen.controlnet_guidance_start, start),
            _first(chosen.controlnet_guidance_end, end),
        ),
        ip_scale=ip_scale if chosen.ip_adapter_enabled else 0.0,
        compiled=chosen.sdxl_compile,
    )


def _named(**given: float | None) -> dict[str, float]:
    return {name: scale for name, scale in given.items() if scale is not None}


def _first(given: float | None, otherwise: float) -> float:
    return otherwise if given is None else given
