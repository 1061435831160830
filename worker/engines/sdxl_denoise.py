"""The denoise loop: the recipe on one page. Latents float32, networks in the pipeline's dtype.

Notation: B cuts in the batch; h, w latent cells; H, W pixels; R rows: 1, or 2 with guidance; sigma
the noise's standard deviation beside clean latents (variance exploding). Sampler: DPM-Solver++(2M),
Lu et al. 2022, arXiv 2211.01095, without noise after the first. Sigmas: Karras et al. 2022, arXiv
2206.00364, eq. 5, rho = 7. Mask: Differential Diffusion, Levin and Fried 2023, arXiv 2306.00950.
"""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from operator import mul
from typing import Any

import torch

from models.errors import EngineFailed
from worker.engines import Tick
from worker.engines.sdxl_pipeline import Painter, Pipeline
from worker.engines.sdxl_recipe import Recipe

Seen = Callable[[int, torch.Tensor], None]  # a step's number, clean latents (B, 4, h, w)
RHO = 7.0
TRAINING_STEPS = 1000
BETAS = (0.00085, 0.012)  # of SDXL's training, linear in the square root
MODES = {"depth": 1, "edges": 3, "tile": 6}  # of ControlNet-Union


@dataclass(frozen=True, eq=False)
class Scene:
    """What a batch of B cuts is painted from."""

    known: torch.Tensor  # (B, 4, h, w) latents of the draped composites
    noise: torch.Tensor  # (B, 4, h, w) standard normal, one seed per cut
    freedom: torch.Tensor  # (B, 1, h, w) 0: stays as known, 1: painted from the first step
    maps: dict[str, torch.Tensor]  # (B, 3, H, W) 0..1 by name: edges, depth, tile
    swatch: torch.Tensor | None  # (2, B, views, 257, 1280): unseen, seen
    masked: torch.Tensor | None = None  # (B, 5, h, w) mask and masked latents, for 9 channels


@dataclass(frozen=True)
class Step:
    """One step, from `sigma` to `sigma_next`; `number` counts from 0."""

    number: int
    sigma_before: float | None
    sigma: float
    sigma_next: float

    @property
    def time(self) -> float:
        return timestep_of(self.sigma)


def denoise(
    pipeline: Pipeline, recipe: Recipe, scene: Scene, tick: Tick, seen: Seen | None = None
) -> torch.Tensor:
    """Painted latents (B, 4, h, w). `seen` is given the clean latents after every step that is not
    the last. Raises whatever `tick` and `seen` raise, within one step."""
    with torch.inference_mode():
        steps = steps_of(recipe)
        x = scene.known + steps[0].sigma * scene.noise  # (B, 4, h, w)
        clean_before: torch.Tensor | None = None
        for step in _paced(steps, pipeline.device):
            tick(step.number / len(steps))
            held = scene.freedom < 1 - step.number / len(steps)  # (B, 1, h, w) not yet free
            x = torch.where(held, scene.known + step.sigma * scene.noise, x)
            noise = predicted_noise(pipeline, recipe, scene, x, step)  # (B, 4, h, w)
            clean = x - step.sigma * noise  # (B, 4, h, w) clean latents as far as can be told
            x = advanced(x, clean, clean_before, step)
            clean_before = clean
            if seen is not None and step.sigma_next > 0:
                seen(step.number, clean)
        tick(1.0)
        return torch.where(scene.freedom > 0, x, scene.known)


def _paced(steps: list[Step], device: torch.device) -> Iterator[Step]:
    """The steps, each when a card has done the last but one: it always has one to go on with, and
    no more. So progress that is told is near the truth, and a cancelled order stops soon."""
    asked: deque[torch.cuda.Event] = deque()
    for step in steps:
        if len(asked) > 1:
            asked.popleft().synchronize()
        yield step
        if device.type == "cuda":
            asked.append(torch.cuda.Event(blocking=True))
            asked[-1].record()


def predicted_noise(
    pipeline: Pipeline, recipe: Recipe, scene: Scene, x: torch.Tensor, step: Step
) -> torch.Tensor:
    """The noise in x, (B, 4, h, w) float32. Where the recipe guides, the UNet is asked about two
    rows at once, without prompt and swatch and with them; elsewhere about one."""
    rows = slice(0, 2) if recipe.guides(step.number) else slice(1, 2)
    refiner = pipeline.refiner if recipe.refines(step.number) else None
    painter = refiner or pipeline.base
    latents = (x / math.sqrt(step.sigma**2 + 1)).to(pipeline.dtype)  # unit variance, as trained
    latents = latents.repeat(rows.stop - rows.start, 1, 1, 1)  # (R x B, 4, h, w)
    asked = conditions(pipeline, scene, painter, rows) | {"timestep": _moment(pipeline, step)}
    if controls := recipe.controls_at(step.number):
        asked |= residuals(pipeline, controls, scene, latents, asked)
    if painter is pipeline.base:
        latents = _with_mask(latents, scene)
        asked["added_cond_kwargs"] |= _swatch_of(scene, rows)
    answer = painter.unet(latents, **asked, return_dict=False)[0].float()  # (R x B, 4, h, w)
    if not recipe.guides(step.number):
        return torch.as_tensor(answer)
    without, with_words = answer.chunk(2)
    return torch.as_tensor(without + recipe.guidance * (with_words - without))


def conditions(pipeline: Pipeline, scene: Scene, painter: Painter, rows: slice) -> dict[str, Any]:
    """The UNet's words, (R x B, 77, channels), and its micro-conditioning: sizes in pixels."""
    cuts, words = len(scene.known), painter.words
    height, width = (side * pipeline.cell_px for side in scene.known.shape[-2:])
    ends = [[height, width]] * 2 if words.aesthetic is None else [[s] for s in words.aesthetic]
    sizes = [_numbers([height, width, 0, 0, *end], pipeline) for end in ends[rows]]
    return {
        "encoder_hidden_states": words.tokens[rows].repeat_interleave(cuts, 0),
        "added_cond_kwargs": {
            "text_embeds": words.pooled[rows].repeat_interleave(cuts, 0),  # (R x B, 1280)
            "time_ids": torch.stack(sizes).repeat_interleave(cuts, 0),  # (R x B, 6)
        },
    }


def _numbers(values: Sequence[float], pipeline: Pipeline) -> torch.Tensor:
    """Filled in on the device: to copy them there would wait for all that it has yet to do."""
    filled = torch.zeros(len(values), device=pipeline.device, dtype=pipeline.dtype)
    for number, value in enumerate(values):
        filled[number].fill_(value)
    return filled


def residuals(
    pipeline: Pipeline,
    controls: dict[str, float],
    scene: Scene,
    latents: torch.Tensor,
    asked: dict[str, Any],
) -> dict[str, Any]:
    """What ControlNet-Union adds to the UNet's down blocks and middle: all maps in one call, and a
    call for each cut. Its fusing transformer attends along the batch, as it was trained: cuts that
    are asked about together would each be led by the other's look."""
    cuts = len(scene.known)
    answers = [
        _residuals_of_cut(pipeline, controls, scene, _of_cut(asked, cut, cuts), latents, cut)
        for cut in range(cuts)
    ]
    together = [_rows_first(parts) for parts in zip(*answers, strict=True)]
    return {
        "down_block_additional_residuals": together[:-1],
        "mid_block_additional_residual": together[-1],
    }


def _residuals_of_cut(
    pipeline: Pipeline,
    controls: dict[str, float],
    scene: Scene,
    asked: dict[str, Any],
    latents: torch.Tensor,
    cut: int,
) -> list[torch.Tensor]:
    """Each (R, channels, cells, cells): of the down blocks, then of the middle."""
    if pipeline.control is None:
        raise EngineFailed("the recipe controls, but no ControlNet is loaded")
    rows = len(latents) // len(scene.known)
    modes = [MODES[name] for name in controls]
    kinds = int(pipeline.control.config.num_control_type)
    chosen = _numbers([float(kind in modes) for kind in range(kinds)], pipeline)
    maps = [scene.maps[name][cut, None].to(pipeline.dtype) for name in controls]
    down, middle = pipeline.control(
        latents[cut :: len(scene.known)],
        **asked,
        controlnet_cond=[each.expand(rows, -1, -1, -1) for each in maps],  # of (R, 3, H, W)
        control_type=chosen.expand(rows, -1),
        control_type_idx=modes,
        conditioning_scale=list(controls.values()),
        return_dict=False,
    )
    return [*down, middle]


def _of_cut(asked: dict[str, Any], cut: int, cuts: int) -> dict[str, Any]:
    """What is asked about one cut, of all that is asked about (R x B)."""
    added = {name: each[cut::cuts] for name, each in asked["added_cond_kwargs"].items()}
    words = asked["encoder_hidden_states"][cut::cuts]
    return asked | {"encoder_hidden_states": words, "added_cond_kwargs": added}


def _rows_first(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """B tensors of R rows, as one of (R x B)."""
    if len(parts) == 1:
        return parts[0]
    return torch.cat([part[row, None] for row in range(len(parts[0])) for part in parts])


def _moment(pipeline: Pipeline, step: Step) -> torch.Tensor:
    return torch.full((), step.time, dtype=torch.float32, device=pipeline.device)


def _with_mask(latents: torch.Tensor, scene: Scene) -> torch.Tensor:
    """(R x B, 4 or 9, h, w)"""
    if scene.masked is None:
        return latents
    rows = len(latents) // len(scene.masked)
    return torch.cat([latents, scene.masked.to(latents.dtype).repeat(rows, 1, 1, 1)], 1)


def _swatch_of(scene: Scene, rows: slice) -> dict[str, Any]:
    """(R x B, views, 257, 1280), in the list of IP-Adapters that the UNet expects."""
    if scene.swatch is None:
        return {}
    return {"image_embeds": [scene.swatch[rows].flatten(0, 1)]}


def advanced(
    x: torch.Tensor, clean: torch.Tensor, clean_before: torch.Tensor | None, step: Step
) -> torch.Tensor:
    """One step of DPM-Solver++(2M): first order at the first step and into the last sigma, 0."""
    if step.sigma_next == 0:
        return clean
    h = math.log(step.sigma / step.sigma_next)
    if clean_before is not None and step.sigma_before is not None:
        ratio = math.log(step.sigma_before / step.sigma) / h
        clean = clean + (clean - clean_before) / (2 * ratio)
    return (step.sigma_next / step.sigma) * x - math.expm1(-h) * clean


def steps_of(recipe: Recipe) -> list[Step]:
    """All steps, first to last."""
    sigmas = schedule(recipe.strength, recipe.steps)
    before = [None, *sigmas]
    return [Step(n, before[n], sigmas[n], sigmas[n + 1]) for n in range(recipe.steps)]


def schedule(strength: float, steps: int) -> list[float]:
    """Sigmas of `steps` steps and a final 0, from the noise of timestep strength x 1000.

    The start depends on the strength alone, so that more steps refine and do not repaint.
    """
    trained = _trained_sigmas()
    first = trained[max(0, math.ceil(strength * TRAINING_STEPS) - 1)]
    high, low = first ** (1 / RHO), min(trained[0], first) ** (1 / RHO)
    shares = [step / max(1, steps - 1) for step in range(steps)]
    return [(high + share * (low - high)) ** RHO for share in shares] + [0.0]


def timestep_of(sigma: float) -> float:
    """The training timestep with this noise, interpolated in log sigma."""
    trained = _trained_sigmas()
    above = min(max(1, bisect_left(trained, sigma)), len(trained) - 1)
    low, high = math.log(trained[above - 1]), math.log(trained[above])
    return above - 1 + min(1.0, max(0.0, (math.log(sigma) - low) / (high - low)))


@lru_cache
def _trained_sigmas() -> tuple[float, ...]:
    """Sigma of each of the 1000 training timesteps, rising from 0.029 to 14.6."""
    first, last = (beta**0.5 for beta in BETAS)
    roots = [first + (last - first) * n / (TRAINING_STEPS - 1) for n in range(TRAINING_STEPS)]
    kept = accumulate((1 - root**2 for root in roots), mul)
    return tuple(((1 - share) / share) ** 0.5 for share in kept)
