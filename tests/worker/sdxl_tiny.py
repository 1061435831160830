"""A tiny SDXL with random weights, on disk as the real one is: it is loaded by the same code.

    python tests/worker/sdxl_tiny.py FOLDER     weights and weights.toml for WEIGHTS_DIR, _MANIFEST

Cells of eight pixels as in the real one, a UNet of three levels, the last with attention,
ControlNet-Union with zero convolutions that are not zero, an IP-Adapter Plus under its published
names, and a tokenizer of single letters.
"""

import atexit
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Hashable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetUnionModel, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from models.letter import Letter
from models.settings import ROOT
from worker.engines.sdxl_full import SdxlFullEngine
from worker.engines.sdxl_inpaint import SdxlInpaintEngine
from worker.engines.sdxl_pipeline import Pipeline, load
from worker.engines.sdxl_recipe import FULL_STANDARD, STANDARD, Recipe
from worker.looks import load_look, pack_version
from worker.weights import Shelf, manifest

torch.set_num_threads(1)  # networks this small only wait for each other's threads
RECIPE = replace(STANDARD, size_px=(128, 224), steps=5, prompt="suit", negative="blur")
FULL_RECIPE = replace(FULL_STANDARD, size_px=(128, 192), steps=5, prompt="suit", negative="blur")
WIDTH = 64  # of the words: two text encoders of 32
VIEW_WIDTH = 32  # of the image encoder
NETWORK: dict[str, Any] = {
    "block_out_channels": (32, 32, 64),
    "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
    "attention_head_dim": (2, 2, 4),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "transformer_layers_per_block": (1, 1, 2),
    "projection_class_embeddings_input_dim": 80,  # six sizes of 8 and 32 of the pooled words
    "cross_attention_dim": WIDTH,
}

LAYER: dict[str, tuple[int, ...]] = {
    "0.norm1.weight": (VIEW_WIDTH,),
    "0.norm1.bias": (VIEW_WIDTH,),
    "0.norm2.weight": (VIEW_WIDTH,),
    "0.norm2.bias": (VIEW_WIDTH,),
    "0.to_q.weight": (64, VIEW_WIDTH),
    "0.to_kv.weight": (128, VIEW_WIDTH),
    "0.to_out.weight": (VIEW_WIDTH, 64),
    "1.0.weight": (VIEW_WIDTH,),
    "1.0.bias": (VIEW_WIDTH,),
    "1.1.weight": (4 * VIEW_WIDTH, VIEW_WIDTH),
    "1.3.weight": (VIEW_WIDTH, 4 * VIEW_WIDTH),
}


def make(folder: Path) -> Path:
    """Write all weights below `folder`; returns the path of their manifest."""
    torch.manual_seed(7)
    unet = _unet(4)
    _save_base(folder / "sdxl-base", unet)
    _vae().save_pretrained(folder / "vae-fp16-fix")
    _control().save_pretrained(folder / "control-union")
    _save_ip_adapter(folder / "ip-adapter-plus", unet)
    _refiner().save_pretrained(folder / "sdxl-refiner" / "unet", variant="fp16")
    _unet(9).save_pretrained(folder / "sdxl-inpaint-9ch" / "unet", variant="fp16")
    return _write_manifest(folder)


def _unet(channels: int) -> Any:
    return UNet2DConditionModel(
        **NETWORK,
        sample_size=32,
        in_channels=channels,
        out_channels=4,
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
    )


def _refiner() -> Any:
    """Reads the second text encoder alone, and a score in place of the target's size."""
    about = NETWORK | {"cross_attention_dim": 32, "projection_class_embeddings_input_dim": 72}
    return UNet2DConditionModel(
        **about,
        sample_size=32,
        in_channels=4,
        out_channels=4,
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
    )


def _vae() -> Any:
    return AutoencoderKL(
        block_out_channels=[8, 8, 16, 16],
        norm_num_groups=4,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        latent_channels=4,
        sample_size=128,
        scaling_factor=0.13025,
    )


def _control() -> Any:
    control = ControlNetUnionModel(
        **NETWORK,
        conditioning_embedding_out_channels=(8, 8, 16, 16),
        num_control_type=8,
        num_trans_channel=32,
        num_trans_head=4,
        num_proj_channel=32,
    )
    for name, weight in control.named_parameters():
        if not weight.any():  # zero at first by design: then no control would be felt
            torch.nn.init.normal_(weight, std=0.05 if "controlnet" in name else 0.02)
    return control


def _save_base(folder: Path, unet: Any) -> None:
    unet.save_pretrained(folder / "unet", variant="fp16")
    about = CLIPTextConfig(
        vocab_size=517,
        hidden_size=32,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=5,
        projection_dim=32,
        bos_token_id=515,
        eos_token_id=516,
        pad_token_id=516,
        max_position_embeddings=77,
    )
    kinds = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}
    for name, kind in kinds.items():
        kind(about).eval().save_pretrained(folder / name, variant="fp16")
    for name in ("tokenizer", "tokenizer_2"):
        _tokenizer(folder / name).save_pretrained(folder / name)


def _tokenizer(folder: Path) -> Any:
    """Every byte a token, alone and at a word's end, two merges, and the two marks."""
    folder.mkdir(parents=True, exist_ok=True)
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(code) for code in printable]
    letters += [chr(256 + n) for n in range(256 - len(letters))]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "su", "it</w>", "suit</w>"]
    vocabulary = {word: n for n, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    merges = "#version: 0.2\ns u\ni t</w>\nsu it</w>\n"
    (folder / "merges.txt").write_text(merges, encoding="utf-8")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=77)


def _save_ip_adapter(folder: Path, unet: Any) -> None:
    about = CLIPVisionConfig(
        hidden_size=VIEW_WIDTH,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=5,
        projection_dim=32,
        patch_size=14,
        image_size=224,
    )
    encoder = CLIPVisionModelWithProjection(about).eval()
    encoder.save_pretrained(folder / "models" / "image_encoder")
    (folder / "sdxl_models").mkdir(parents=True)
    weights = _projection() | _attentions(unet)
    save_file(weights, folder / "sdxl_models" / "ip-adapter-plus_sdxl_vit-h.safetensors")


def _projection() -> dict[str, torch.Tensor]:
    """The resampler: 257 patches to 4 tokens as wide as words, four layers of one head of 64."""
    shapes: dict[str, tuple[int, ...]] = {
        "latents": (1, 4, VIEW_WIDTH),
        "proj_in.weight": (VIEW_WIDTH, VIEW_WIDTH),
        "proj_in.bias": (VIEW_WIDTH,),
        "proj_out.weight": (WIDTH, VIEW_WIDTH),
        "proj_out.bias": (WIDTH,),
        "norm_out.weight": (WIDTH,),
        "norm_out.bias": (WIDTH,),
    }
    for layer in range(4):
        shapes |= {f"layers.{layer}.{name}": shape for name, shape in LAYER.items()}
    return {f"image_proj.{name}": torch.randn(shape) * 0.3 for name, shape in shapes.items()}


def _attentions(unet: Any) -> dict[str, torch.Tensor]:
    """Keys and values of the swatch for each cross-attention, numbered 1, 3, 5 ... as published."""
    modules = dict(unet.named_modules())
    names = [name.removesuffix(".processor") for name in unet.attn_processors]
    crossing = [modules[name] for name in names if name.endswith("attn2")]
    weights = {}
    for n, attention in enumerate(crossing):
        for part in ("to_k_ip", "to_v_ip"):
            shape = (attention.inner_dim, WIDTH)
            weights[f"ip_adapter.{2 * n + 1}.{part}.weight"] = torch.randn(shape) * 0.3
    return weights


def _write_manifest(folder: Path) -> Path:
    lines = []
    for weights in sorted(path for path in folder.iterdir() if path.is_dir()):
        lines += [
            "[[weights]]",
            f'id = "{weights.name}"',
            'purpose = "tests"',
            f'repository = "tiny/{weights.name}"',
            'revision = "tiny"',
            'licence = "random numbers"',
            "commercial_ok = true",
            "vram_gb = 0.1",
            "[weights.files]",
        ]
        for path in sorted(path for path in weights.rglob("*") if path.is_file()):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            about = f'{{ bytes = {path.stat().st_size}, sha256 = "{digest}" }}'
            lines.append(f'"{path.relative_to(weights).as_posix()}" = {about}')
    manifest = folder / "weights.toml"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest


@lru_cache
def looks() -> Path:
    """The starter looks at a quarter of their size, with their maps: all goes 16 times faster."""
    folder = Path(tempfile.mkdtemp(prefix="looks-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for pack in sorted((ROOT / "assets" / "looks").iterdir()):
        _shrink(pack, folder / pack.name)
    return folder


def _shrink(pack: Path, small: Path) -> None:
    (small / "maps").mkdir(parents=True)
    for path in (*pack.glob("*.png"), *pack.glob("maps/*.png")):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert image is not None
        cv2.imwrite(str(small / path.relative_to(pack)), np.ascontiguousarray(image[2::4, 2::4]))
    about = json.loads((pack / "look.json").read_text(encoding="utf-8"))
    about["version"] = pack_version(small)
    about["size_px"] = [side // 4 for side in about["size_px"]]
    about["px_per_cm"] /= 4
    (small / "look.json").write_text(json.dumps(about), encoding="utf-8")
    made = {path.stem: {"look_version": about["version"]} for path in small.glob("maps/*.png")}
    (small / "maps" / "maps.json").write_text(json.dumps(made), encoding="utf-8")


@lru_cache
def shelf() -> Shelf:
    """Tiny weights on disk, made once per run."""
    folder = Path(tempfile.mkdtemp(prefix="sdxl-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = make(folder)
    return Shelf(folder, manifest(path))


def inpaint_engine(recipe: Recipe = RECIPE) -> SdxlInpaintEngine:
    """The engine with tiny weights, set up once per recipe."""
    return _set_up(SdxlInpaintEngine, recipe)


def full_engine(recipe: Recipe = FULL_RECIPE) -> SdxlInpaintEngine:
    return _set_up(SdxlFullEngine, recipe)


_engines: dict[str, SdxlInpaintEngine] = {}
_pipelines: dict[Hashable, Pipeline] = {}


def _set_up(kind: type[SdxlInpaintEngine], recipe: Recipe) -> SdxlInpaintEngine:
    key = f"{kind.name} {recipe}"
    if key not in _engines:
        engine = kind(looks(), shelf(), recipe, ())
        with patch("worker.engines.sdxl_inpaint.load", _loaded_once):
            engine.setup()
        _engines[key] = engine
    return _engines[key]


def _loaded_once(recipe: Recipe, shelf: Shelf) -> Pipeline:
    """Loading is what takes the time, and many recipes load the same."""
    parts = (recipe.unet, any(recipe.controls.values()), recipe.ip_scale, recipe.refiner_from < 1)
    key = (*parts, recipe.prompt, recipe.negative, recipe.compiled)
    if key not in _pipelines:
        _pipelines[key] = load(recipe, shelf)
    return _pipelines[key]


@lru_cache
def letter(look: str = "recto", hex_value: str = "#203060", noise_seed: int = 11) -> Letter:
    """An order of a look in a plain colour."""
    pack = load_look(looks() / look)
    return Letter(
        cut=look,
        look=look,
        look_version=pack.version,
        width_px=pack.width_px,
        height_px=pack.height_px,
        stage="final",
        fabric_hex=hex_value,
        noise_seed=noise_seed,
    )


if __name__ == "__main__":
    print(make(Path(sys.argv[1])))
