"""The full-size SDXL without its weights: on the meta device, where shapes are all there is."""

import json

import torch

from bench.sdxl import full_size_unet
from tests.worker.sdxl_tiny import inpaint_engine, shelf
from worker.engines.sdxl_pipeline import check_swatch_sight


def test_all_seventy_cross_attentions_of_sdxl_see_the_swatch() -> None:
    unet = full_size_unet()
    assert check_swatch_sight(unet) == 70
    added = ("_ip.", "encoder_hid_proj")
    own = [p.numel() for name, p in unet.named_parameters() if not any(a in name for a in added)]
    assert sum(own) == 2_567_463_684  # SDXL's UNet
    assert {parameter.device for parameter in unet.parameters()} == {torch.device("meta")}


def test_the_style_block_alone_speaks() -> None:
    processors = inpaint_engine().pipeline.base.unet.attn_processors
    crossing = {name: p for name, p in processors.items() if "attn2" in name}
    loud = {name for name, processor in crossing.items() if processor.scale != [0.0]}
    assert loud == {name for name in crossing if name.startswith("up_blocks.0.attentions.1.")}
    assert 0 < len(loud) < len(crossing)


def test_tiny_weights_have_the_manifest_s_layout() -> None:
    """What the tests load is laid out as what the manifest pulls."""
    from models.settings import ROOT
    from worker.weights import manifest

    real = manifest(ROOT / "assets" / "weights.toml")
    for weights in real.values():
        tiny = {file.saved_as for file in shelf().named(weights.id).files}
        wanted = {f.saved_as for f in weights.files if f.saved_as.endswith(".safetensors")}
        assert wanted <= tiny, json.dumps([weights.id, sorted(wanted - tiny)])
