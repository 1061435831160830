"""What a photoreal cut costs: floating-point operations counted, and seconds where there is a GPU.

    python -m bench.sdxl flops                   counted on SDXL's full architecture; needs no GPU
    python -m bench.sdxl memory                  counted likewise: what a card must hold
    python -m bench.sdxl roofline [--repeats 5]  calculated: what cards cannot be faster than
    python -m bench.sdxl time [--repeats 5]      random weights: on CUDA full size, on a CPU small

Speed does not depend on the weights' values. The rival is diffusers' own inpaint pipeline as the
older system ran it: 50 steps at strength 0.85, guidance throughout, the whole 1024 x 1536 picture.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetUnionModel,
    EulerDiscreteScheduler,
    StableDiffusionXLInpaintPipeline,
    UNet2DConditionModel,
)
from diffusers.utils import logging as diffusers_logging
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from worker.engines.sdxl_denoise import Scene, denoise, predicted_noise, steps_of
from worker.engines.sdxl_pipeline import Painter, Pipeline, Words, device_facts
from worker.engines.sdxl_recipe import INPAINT, Recipe

TERA = 1e12
RIVAL_STEPS, RIVAL_STRENGTH = 50, 0.85
Kind = Literal["half", "tf32", "single"]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Card:
    """Peaks in TFLOP/s, dense, with float32 sums, and TB/s of memory: the vendor's data sheets."""

    half: float
    tf32: float
    single: float
    terabytes: float

    def peak(self, kind: Kind) -> float:
        """Floating-point operations a second."""
        return {"half": self.half, "tf32": self.tf32, "single": self.single}[kind] * TERA

    @property
    def bytes_per_second(self) -> float:
        return self.terabytes * TERA


CARDS = {
    "H100": Card(989.4, 494.7, 66.9, 3.35),  # SXM
    "H200": Card(989.4, 494.7, 66.9, 4.8),
    "A100": Card(312.0, 156.0, 19.5, 2.039),  # SXM, 80 GB
    "L40S": Card(362.05, 183.0, 91.6, 0.864),
    "RTX 4090": Card(165.2, 82.6, 82.6, 1.008),
}


@dataclass(frozen=True)
class Size:
    """An SDXL of some size; `full` is the published one."""

    name: str
    channels: tuple[int, ...]
    heads: tuple[int, ...]
    depth: tuple[int, ...]  # transformer layers by level
    words: int  # width of the prompt's tokens
    pooled: int
    time_embed: int
    vae_channels: tuple[int, ...]
    sight: int  # width of the image encoder
    sight_layers: int
    map_channels: tuple[int, ...]  # of the ControlNet's way in, from pixels to cells
    picture_px: tuple[int, int]  # of the rival: width, height

    def scaled(self, recipe: Recipe) -> Recipe:
        """The recipe with its crop in proportion to the picture."""
        share = self.picture_px[0] / FULL.picture_px[0]
        width, height = (max(32, round(side * share / 32) * 32) for side in recipe.size_px)
        return replace(recipe, size_px=(width, height))


FULL = Size(
    name="SDXL",
    channels=(320, 640, 1280),
    heads=(5, 10, 20),
    depth=(1, 2, 10),
    words=2048,
    pooled=1280,
    time_embed=256,
    vae_channels=(128, 256, 512, 512),
    sight=1280,
    sight_layers=32,
    map_channels=(16, 32, 96, 256),
    picture_px=(1024, 1536),
)
SMALL = Size(
    name="SDXL in small",
    channels=(32, 64, 128),
    heads=(1, 2, 4),
    depth=(1, 1, 2),
    words=64,
    pooled=32,
    time_embed=32,
    vae_channels=(32, 32, 32, 64),
    sight=80,
    sight_layers=2,
    map_channels=(2, 4, 8, 24),
    picture_px=(128, 192),
)


def network(size: Size) -> dict[str, Any]:
    """What the UNet and its ControlNet share, as in SDXL's published configuration."""
    return {
        "block_out_channels": size.channels,
        "layers_per_block": 2,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "attention_head_dim": size.heads,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": size.time_embed,
        "transformer_layers_per_block": size.depth,
        "projection_class_embeddings_input_dim": 6 * size.time_embed + size.pooled,
        "cross_attention_dim": size.words,
    }


def unet_of(size: Size, in_channels: int = 4) -> Any:
    return UNet2DConditionModel(
        **network(size),
        sample_size=128,
        in_channels=in_channels,
        out_channels=4,
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    )


def with_swatch_sight(unet: Any, size: Size) -> Any:
    """The UNet with an IP-Adapter Plus of random weights, heard in the style block alone."""
    state = {"image_proj": _resampler(size), "ip_adapter": _swatch_attentions(unet, size)}
    unet._load_ip_adapter_weights([state], low_cpu_mem_usage=False)
    for name, processor in unet.attn_processors.items():
        if "attn2" in name:
            processor.scale = [0.5 if name.startswith("up_blocks.0.attentions.1.") else 0.0]
    return unet


def _resampler(size: Size) -> dict[str, torch.Tensor]:
    """Published shapes: 16 tokens, four layers, 20 heads of 64 in full size."""
    width, heads = size.sight, max(1, size.sight // 64)
    shapes: dict[str, tuple[int, ...]] = {
        "latents": (1, 16, width),
        "proj_in.weight": (width, width),
        "proj_in.bias": (width,),
        "proj_out.weight": (size.words, width),
        "proj_out.bias": (size.words,),
        "norm_out.weight": (size.words,),
        "norm_out.bias": (size.words,),
    }
    for n in range(4):
        shapes |= {
            f"layers.{n}.0.{norm}.{part}": (width,)
            for norm in ("norm1", "norm2")
            for part in ("weight", "bias")
        }
        shapes |= {
            f"layers.{n}.0.to_q.weight": (64 * heads, width),
            f"layers.{n}.0.to_kv.weight": (128 * heads, width),
            f"layers.{n}.0.to_out.weight": (width, 64 * heads),
            f"layers.{n}.1.0.weight": (width,),
            f"layers.{n}.1.0.bias": (width,),
            f"layers.{n}.1.1.weight": (4 * width, width),
            f"layers.{n}.1.3.weight": (width, 4 * width),
        }
    return {name: torch.randn(shape) * 0.02 for name, shape in shapes.items()}


def _swatch_attentions(unet: Any, size: Size) -> dict[str, torch.Tensor]:
    modules = dict(unet.named_modules())
    crossing = [name for name in unet.attn_processors if "attn2" in name]
    inner = [modules[name.removesuffix(".processor")].inner_dim for name in crossing]
    return {
        f"{2 * n + 1}.{part}_ip.weight": torch.randn(width, size.words) * 0.02
        for n, width in enumerate(inner)
        for part in ("to_k", "to_v")
    }


def full_size_unet() -> Any:
    """SDXL's UNet with the IP-Adapter, without memory: on the meta device."""
    with torch.device("meta"):
        return with_swatch_sight(unet_of(FULL), FULL)


def pipeline_of(size: Size, device: str, dtype: torch.dtype) -> Pipeline:
    """What the engine loads, of random weights."""
    with torch.device(device):
        parts = [
            with_swatch_sight(unet_of(size), size),
            ControlNetUnionModel(
                **network(size),
                conditioning_embedding_out_channels=size.map_channels,
                num_control_type=8,
                num_trans_channel=size.channels[0],
                num_trans_head=max(1, size.channels[0] // 40),
                num_proj_channel=size.channels[0],
            ),
            vae_of(size),
            image_encoder_of(size),
        ]
        words = Words(torch.randn(2, 77, size.words), torch.randn(2, size.pooled))
    on_card = device == "cuda" or dtype == torch.float16
    layout = torch.channels_last if on_card else torch.preserve_format
    unet, control, vae, encoder = (
        part.to(dtype).to(memory_format=layout).eval().requires_grad_(False) for part in parts
    )
    told = Words(words.tokens.to(dtype), words.pooled.to(dtype))
    return Pipeline(torch.device(device), dtype, Painter(unet, told), None, control, vae, encoder)


def vae_of(size: Size) -> Any:
    count = len(size.vae_channels)
    return AutoencoderKL(
        block_out_channels=list(size.vae_channels),
        down_block_types=["DownEncoderBlock2D"] * count,
        up_block_types=["UpDecoderBlock2D"] * count,
        layers_per_block=2,
        latent_channels=4,
        scaling_factor=0.13025,
    )


def image_encoder_of(size: Size) -> Any:
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=size.sight,
            intermediate_size=4 * size.sight,
            num_attention_heads=max(1, size.sight // 80),
            num_hidden_layers=size.sight_layers,
            projection_dim=size.sight,
            patch_size=14,
            image_size=224,
        )
    )


def scene_of(pipeline: Pipeline, size: Size, recipe: Recipe, cuts: int = 1) -> Scene:
    """Some cuts' scene of random numbers, all of it free."""
    width, height = recipe.size_px
    views = len(recipe.swatch_views_cm)
    with torch.device(pipeline.device):
        known = torch.randn(cuts, 4, height // pipeline.cell_px, width // pipeline.cell_px)
        return Scene(
            known=known,
            noise=torch.randn_like(known),
            freedom=torch.ones_like(known[:, :1]),
            maps={name: torch.rand(cuts, 3, height, width) for name in recipe.controls},
            swatch=torch.randn(2, cuts, views, 257, size.sight).to(pipeline.dtype),
        )


def paint(pipeline: Pipeline, recipe: Recipe, scene: Scene, drape: torch.Tensor) -> torch.Tensor:
    """One cut as the engine paints it: encode, denoise, decode."""
    with torch.inference_mode():
        known = pipeline.encode(drape)
        return pipeline.decode(
            denoise(pipeline, recipe, replace(scene, known=known), lambda _: None)
        )


# Counting ------------------------------------------------------------------------------------


def counted(run: Callable[[], Any]) -> float:
    """Floating-point operations, 2 per multiply-add."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        run()
    return float(counter.get_total_flops())


def of_each_step(
    pipeline: Pipeline, recipe: Recipe, scene: Scene, told: Callable[[Callable[[], Any]], Found]
) -> list[Found]:
    """What is told of each step's questions to the networks. Steps of one kind are alike: one of
    each is asked."""
    kinds: dict[tuple[bool, bool], Found] = {}
    steps = []
    for step in steps_of(recipe):
        kind = (recipe.guides(step.number), bool(recipe.controls_at(step.number)))
        if kind not in kinds:
            ask = partial(predicted_noise, pipeline, recipe, scene, scene.noise, step)
            kinds[kind] = told(ask)
        steps.append(kinds[kind])
    return steps


def flops_of_recipe(pipeline: Pipeline, size: Size, recipe: Recipe) -> dict[str, float]:
    """Of one cut with a swatch that is seen for the first time; the prompt is read at the start."""
    scene = scene_of(pipeline, size, recipe)
    width, height = recipe.size_px
    drape = torch.empty(1, 3, height, width, device=pipeline.device)
    views = torch.empty(len(recipe.swatch_views_cm), 3, 224, 224, device=pipeline.device)
    sight = pipeline.image_encoder
    return {
        "steps": sum(of_each_step(pipeline, recipe, scene, counted)),
        "encode": counted(lambda: pipeline.encode(drape)),
        "decode": counted(lambda: pipeline.decode(scene.known)),
        "swatch": counted(lambda: sight(views.to(pipeline.dtype))) if sight else 0.0,
    }


def flops_of_rival(pipeline: Pipeline, size: Size) -> dict[str, float]:
    """diffusers' inpaint pipeline at the older settings: no ControlNet, no swatch counted."""
    calls = int(RIVAL_STEPS * RIVAL_STRENGTH)
    rival = replace(INPAINT["standard"], size_px=size.picture_px, controls={}, guided=(0.0, 1.0))
    parts = flops_of_recipe(pipeline, size, replace(rival, steps=1))
    return {
        "steps": calls * parts["steps"],
        "encode": 2 * parts["encode"],  # the picture, and the picture without the garment
        "decode": parts["decode"],
        "swatch": 0.0,
    }


def flops() -> None:
    pipeline = pipeline_of(FULL, "meta", torch.float32)
    rival = flops_of_rival(pipeline, FULL)
    width, height = FULL.picture_px
    print(f"floating-point operations per {width} x {height} cut, in 10^12")
    print(f"{'':34}{'UNet+Control':>13}{'encode':>8}{'decode':>8}{'swatch':>8}{'sum':>9}")
    name = f"diffusers inpaint, {RIVAL_STEPS} x {RIVAL_STRENGTH}"
    _tell_flops(name, rival, sum(rival.values()))
    for profile, recipe in INPAINT.items():
        name = f"{profile}: {recipe.steps} steps at {recipe.size_px[0]} x {recipe.size_px[1]}"
        _tell_flops(name, flops_of_recipe(pipeline, FULL, recipe), sum(rival.values()))


def _tell_flops(name: str, parts: dict[str, float], rival: float) -> None:
    numbers = "".join(
        f"{parts[part] / TERA:{width}.1f}"
        for part, width in (("steps", 13), ("encode", 8), ("decode", 8), ("swatch", 8))
    )
    total = sum(parts.values())
    print(f"{name:34}{numbers}{total / TERA:9.1f}   {total / rival:.3f} of diffusers'")


# Timing --------------------------------------------------------------------------------------


def measure(repeats: int) -> None:
    cuda = torch.cuda.is_available()
    size, device = (FULL, "cuda") if cuda else (SMALL, "cpu")
    pipeline = pipeline_of(size, device, torch.float16 if cuda else torch.float32)
    facts = device_facts()
    peak = next((card.half for name, card in CARDS.items() if name in facts["device"]), None)
    print(f"{size.name}, random weights, {facts}")
    if not cuda:
        torch.set_num_threads(1)
        print(
            "no GPU: a small architecture, one core's own seconds; read the ratios, and few of them"
        )
    counter = pipeline_of(size, "meta", torch.float32)
    rival = flops_of_rival(counter, size)
    slow = min(
        _told(f"diffusers inpaint, attention slicing {how}", seconds, sum(rival.values()), peak)
        for how, seconds in rival_seconds(size, device, pipeline.dtype, repeats)
    )
    for profile, published in INPAINT.items():
        recipe = size.scaled(published)
        scene = scene_of(pipeline, size, recipe)
        drape = torch.rand(1, 3, *recipe.size_px[::-1], device=device) * 2 - 1
        seconds = _seconds(partial(paint, pipeline, recipe, scene, drape), repeats)
        parts = flops_of_recipe(counter, size, recipe)
        work = sum(parts.values()) - parts["swatch"]  # seen before, as in a shop
        took = _told(f"{profile}: {recipe.steps} steps", seconds, work, peak)
        share = f"{work / sum(rival.values()):.2f} of its operations"
        print(f"{'':44}{slow / took:.1f} x as fast as diffusers' faster one, {share}")
    if cuda:
        print(f"peak memory {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")


def rival_seconds(
    size: Size, device: str, dtype: torch.dtype, repeats: int
) -> list[tuple[str, float]]:
    """Seconds per cut of diffusers' pipeline without and with attention slicing."""
    with torch.device(device):
        unet, vae = unet_of(size, in_channels=9), vae_of(size)
    pipe = StableDiffusionXLInpaintPipeline(
        vae=vae.to(dtype),
        unet=unet.to(dtype),
        text_encoder=None,
        text_encoder_2=None,
        tokenizer=None,
        tokenizer_2=None,
        scheduler=EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012),
        add_watermarker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    found = []
    for how, choose in (
        ("off", pipe.disable_attention_slicing),
        ("on", pipe.enable_attention_slicing),
    ):
        choose()
        found.append((how, _seconds(lambda: _rival_call(pipe, size, device, dtype), repeats)))
    return found


def _rival_call(pipe: Any, size: Size, device: str, dtype: torch.dtype) -> Any:
    width, height = size.picture_px
    words = {
        f"{kind}{name}": torch.zeros(shape, device=device, dtype=dtype)
        for kind in ("", "negative_")
        for name, shape in (
            ("prompt_embeds", (1, 77, size.words)),
            ("pooled_prompt_embeds", (1, size.pooled)),
        )
    }
    return pipe(
        **words,
        image=torch.zeros(1, 3, height, width),
        mask_image=torch.ones(1, 1, height, width),
        width=width,
        height=height,
        strength=RIVAL_STRENGTH,
        num_inference_steps=RIVAL_STEPS,
        guidance_scale=7.5,
        output_type="pt",
    )


def _seconds(run: Callable[[], Any], repeats: int) -> float:
    """Median of some runs after one for warming up: of the clock's seconds on a GPU, of one core's
    on a CPU, where other work on the machine would be counted otherwise."""
    now = time.perf_counter if torch.cuda.is_available() else time.process_time
    run()
    taken = []
    for _ in range(repeats):
        _wait()
        start = now()
        run()
        _wait()
        taken.append(now() - start)
    return statistics.median(taken)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _told(name: str, seconds: float, work: float, peak: float | None) -> float:
    rate = work / seconds / TERA
    share = f", {rate / peak:.0%} of peak" if peak else ""
    print(f"{name:44}{seconds:8.3f} s  {rate:8.3f} TFLOP/s{share}", flush=True)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sdxl")
    parser.add_argument("what", choices=["flops", "memory", "roofline", "time"])
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # the rival's, about names that it still uses
    diffusers_logging.set_verbosity_error()
    match asked.what:
        case "flops":
            flops()
        case "memory":
            from bench.sdxl_memory import memory

            memory()
        case "roofline":
            from bench.sdxl_roofline import roofline

            roofline(asked.repeats)
        case _:
            measure(asked.repeats)


if __name__ == "__main__":
    main()
