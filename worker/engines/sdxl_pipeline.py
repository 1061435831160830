"""Loading: SDXL's parts from the shelf of weights into memory, offline, as denoising needs them.

Nothing here or later asks a network. What would silently drop the swatch or the look (an IP-Adapter
without its processors, a missing file) is an error.
"""

import gc
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetUnionModel,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0
from diffusers.utils import logging as diffusers_logging
from transformers import (
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)
from transformers.utils import logging as transformers_logging

from models.errors import EngineFailed
from models.settings import IP_ADAPTER_WEIGHT
from worker.engines.sdxl_recipe import Recipe
from worker.weights import Shelf

COMPILER = "inductor"
GRAPHS_MAX = 64  # of one block: widths, batches, with and without the swatch; 8 are too few
AESTHETIC = (2.5, 6.0)  # what the refiner is told: low without the prompt, high with it


@dataclass(frozen=True, eq=False)
class Words:
    """The prompt, seen by a UNet: first without it (the negative prompt), then with it."""

    tokens: torch.Tensor  # (2, 77, width of its cross-attention)
    pooled: torch.Tensor  # (2, 1280)
    aesthetic: tuple[float, float] | None = None  # told to the refiner in place of a target size


@dataclass(frozen=True, eq=False)
class Painter:
    """A UNet and the words it works by."""

    unet: Any
    words: Words


@dataclass(frozen=True, eq=False)
class Pipeline:
    """Everything on the device. The text encoders are gone: the words never change."""

    device: torch.device
    dtype: torch.dtype  # of all networks; latents are float32
    base: Painter
    refiner: Painter | None
    control: Any | None  # ControlNet-Union
    vae: Any
    image_encoder: Any | None  # CLIP ViT-H: present when the base sees the swatch

    @property
    def cell_px(self) -> int:
        """Picture pixels per latent cell, each way: 8."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in -1..1 to latents (B, 4, H / cell, W / cell), the distribution's mode; one
        picture at a time, as in `decode`."""
        pictures = pictures.to(self.device, self.dtype)
        latents = torch.cat([self.vae.encode(one[None]).latent_dist.mode() for one in pictures])
        return (latents * self.vae.config.scaling_factor).float()

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """The way back; one picture at a time, since the VAE is what needs memory."""
        scaled = (latents / self.vae.config.scaling_factor).to(self.dtype)
        return torch.cat([self.vae.decode(one[None], return_dict=False)[0] for one in scaled])


def load(recipe: Recipe, shelf: Shelf, device: torch.device | None = None) -> Pipeline:
    """Load what the recipe uses, onto the card if there is one: half precision there, else float32.

    Raises EngineFailed when the swatch would not be seen, or a weight is not in its file.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    _make_repeatable()
    _hush()
    loader = _Loader(shelf, dtype)
    stock = loader.stock(recipe)
    words = _words(stock, recipe, device, dtype)
    if recipe.ip_scale > 0:
        _add_swatch_sight(stock, recipe, shelf)
    pipeline = Pipeline(
        device=device,
        dtype=dtype,
        base=Painter(_on(stock.unet, device), words),
        refiner=_refiner(loader, recipe, words, device),
        control=_on(loader.control(), device) if any(recipe.controls.values()) else None,
        vae=_on(stock.vae, device),
        image_encoder=_on(stock.image_encoder, device),
    )
    del stock
    gc.collect()
    if recipe.compiled:
        _compile(pipeline)
    return pipeline


def _compile(pipeline: Pipeline) -> None:
    """Compile the transformer blocks, where most of the time goes; they are alike, so it is quick.

    A block that cannot be compiled whole is an error. Each shape gets a graph of its own, whatever
    came before it: the same bytes again. Graphs are kept in TORCHINDUCTOR_CACHE_DIR.
    """
    torch._dynamo.config.recompile_limit = GRAPHS_MAX
    refiner = pipeline.refiner.unet if pipeline.refiner else None
    for network in filter(None, (pipeline.base.unet, refiner, pipeline.control)):
        for part in network.modules():
            if isinstance(part, BasicTransformerBlock):
                part.compile(backend=COMPILER, fullgraph=True, dynamic=False)


class _Loader:
    """Reads parts from local safetensors files; everything else is refused by the libraries."""

    def __init__(self, shelf: Shelf, dtype: torch.dtype) -> None:
        self._shelf = shelf
        self._dtype = dtype

    def unet(self, name: str) -> Any:
        weights_id = self._shelf.named(name).id
        return self._network(UNet2DConditionModel, weights_id, "unet", variant="fp16")

    def control(self) -> Any:
        return self._network(ControlNetUnionModel, "control-union")

    def stock(self, recipe: Recipe) -> Any:
        """The library's own pipeline: it reads the prompt and loads the IP-Adapter, no more."""
        base = self._shelf.folder("sdxl-base")
        parts = {
            name: self._network(kind, "sdxl-base", name, variant="fp16")
            for name, kind in (
                ("text_encoder", CLIPTextModel),
                ("text_encoder_2", CLIPTextModelWithProjection),
            )
        }
        for name in ("tokenizer", "tokenizer_2"):
            parts[name] = CLIPTokenizer.from_pretrained(base, subfolder=name, local_files_only=True)
        if recipe.ip_scale > 0:
            parts["image_encoder"] = self._network(
                CLIPVisionModelWithProjection, "ip-adapter-plus", "models/image_encoder"
            )
        return StableDiffusionXLPipeline(
            vae=self._network(AutoencoderKL, "vae-fp16-fix"),
            unet=self.unet(recipe.unet),
            scheduler=EulerDiscreteScheduler(),
            add_watermarker=False,  # the mark is put on when publishing
            **parts,
        )

    def _network(self, kind: Any, weights_id: str, subfolder: str = "", **how: Any) -> Any:
        """Raises EngineFailed for a weight that the file has not got: the libraries would make it
        up, and only warn. One of another shape they refuse."""
        network, found = kind.from_pretrained(
            self._shelf.folder(weights_id),
            subfolder=subfolder,
            dtype=self._dtype,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **how,
        )
        if made_up := sorted(found["missing_keys"]):
            raise EngineFailed(f"{weights_id}/{subfolder} has no {', '.join(made_up)}")
        return network


def _words(stock: Any, recipe: Recipe, device: torch.device, dtype: torch.dtype) -> Words:
    for encoder in (stock.text_encoder, stock.text_encoder_2):
        encoder.to(device)
    with torch.inference_mode():
        with_prompt, without, pooled_with, pooled_without = stock.encode_prompt(
            prompt=recipe.prompt,
            negative_prompt=recipe.negative,
            do_classifier_free_guidance=True,
            device=device,
        )
    return Words(
        tokens=torch.cat([without, with_prompt]).to(device, dtype),
        pooled=torch.cat([pooled_without, pooled_with]).to(device, dtype),
    )


def _add_swatch_sight(stock: Any, recipe: Recipe, shelf: Shelf) -> None:
    """Load the IP-Adapter and let it speak in one block.

    up_blocks.0.attentions.1 carries colour, material and atmosphere; the layout blocks stay at 0,
    so that a flat swatch does not flatten the lapels (InstantStyle, arXiv 2404.02733).
    """
    with warnings.catch_warnings():  # the loader asks for float32 parts by an old name
        warnings.simplefilter("ignore", FutureWarning)
        stock.load_ip_adapter(
            str(shelf.folder("ip-adapter-plus")),
            subfolder="sdxl_models",
            weight_name=IP_ADAPTER_WEIGHT,
            image_encoder_folder=None,  # it is here already
            local_files_only=True,
        )
    stock.set_ip_adapter_scale({"up": {"block_0": [0.0, recipe.ip_scale, 0.0]}})
    check_swatch_sight(stock.unet)


def check_swatch_sight(unet: Any) -> int:
    """The number of cross-attentions that see the swatch: 70 in SDXL.

    Some optimisations replace these processors without a word. Raises EngineFailed.
    """
    cross = {name: p for name, p in unet.attn_processors.items() if "attn2" in name}
    seeing = [p for p in cross.values() if isinstance(p, IPAdapterAttnProcessor2_0)]
    if len(seeing) != len(cross):
        raise EngineFailed(f"only {len(seeing)} of {len(cross)} attentions see the swatch")
    return len(seeing)


def _refiner(loader: _Loader, recipe: Recipe, words: Words, device: torch.device) -> Painter | None:
    """The refiner reads the second text encoder alone: the last channels of the base's words."""
    if recipe.refiner_from >= 1:
        return None
    unet = _on(loader.unet("sdxl-refiner"), device)
    width = unet.config.cross_attention_dim
    return Painter(unet, Words(words.tokens[..., -width:], words.pooled, AESTHETIC))


def _on(network: Any, device: torch.device) -> Any:
    if network is None:
        return None
    layout = torch.channels_last if device.type == "cuda" else torch.preserve_format
    return network.to(device, memory_format=layout).eval().requires_grad_(False)


def _make_repeatable() -> None:
    """Same recipe, seed, batch and device: same bytes."""
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def _hush() -> None:
    """No progress bars in a log, and no warnings about what is meant."""
    transformers_logging.disable_progress_bar()
    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()


def device_facts() -> dict[str, str]:
    """What `doctor` tells, and what is stored with every picture."""
    facts = {"torch": torch.__version__, "device": "cpu", "dtype": "float32"}
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        facts |= {
            "device": about.name,
            "dtype": "float16",
            "vram_gb": f"{about.total_memory / 1e9:.1f}",
            "cuda": str(torch.version.cuda),
            "capability": f"{about.major}.{about.minor}",
        }
    return facts
