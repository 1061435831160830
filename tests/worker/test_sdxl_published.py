"""Weights laid out as they were published, and not as today's libraries would save them.

The tiny weights are saved by the pinned libraries. The real ones are years older: other names in
their files, tokenizers without tokenizer.json, configurations that lack newer keys.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.errors import EngineFailed
from tests.worker.sdxl_tiny import RECIPE, shelf
from worker.engines.sdxl_pipeline import _Loader, _words
from worker.weights import Shelf, manifest


def marked(content: str) -> dict[str, Any]:
    flags = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    return {"content": content, **flags}


def publish_tokenizer(folder: Path, pad: str) -> None:
    """SDXL's: vocabulary, merges, and two files of settings; the second one pads with "!"."""
    (folder / "tokenizer.json").unlink()
    marks = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    marks["unk_token"] = "<|endoftext|>"
    special = {name: marked(content) for name, content in marks.items()} | {"pad_token": pad}
    settings = {
        "add_prefix_space": False,
        **{name: {"__type": "AddedToken", **marked(content)} for name, content in marks.items()},
        "clean_up_tokenization_spaces": True,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": 77,
        "pad_token": pad,
        "tokenizer_class": "CLIPTokenizer",
    }
    for name, content in (("special_tokens_map", special), ("tokenizer_config", settings)):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def publish_clip(path: Path, prefix: str, positions: int) -> None:
    """Every name under its model's, and a buffer that is no weight any more."""
    found = load_file(path)
    named = {
        name if name.startswith(prefix) or "projection" in name else prefix + name: tensor
        for name, tensor in found.items()
    }
    named[f"{prefix}embeddings.position_ids"] = torch.arange(positions)[None]
    save_file(named, path, metadata={"format": "pt"})


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("published") / "weights"
    shutil.copytree(shelf().root, folder)
    base, adapter = folder / "sdxl-base", folder / "ip-adapter-plus"
    publish_tokenizer(base / "tokenizer", "<|endoftext|>")
    publish_tokenizer(base / "tokenizer_2", "!")
    for name in ("text_encoder", "text_encoder_2"):
        publish_clip(base / name / "model.fp16.safetensors", "text_model.", 77)
        config = json.loads((base / name / "config.json").read_text(encoding="utf-8"))
        old = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "torch_dtype": "float16"}
        kept = {key: config[key] for key in config if key not in ("dtype", "text_config")}
        (base / name / "config.json").write_text(json.dumps(kept | old), encoding="utf-8")
    publish_clip(adapter / "models/image_encoder/model.safetensors", "vision_model.", 257)
    return Shelf(folder, manifest(folder / "weights.toml"))


def test_names_of_years_ago_are_all_found(published: Shelf) -> None:
    old, new = (_Loader(each, torch.float32).stock(RECIPE) for each in (published, shelf()))
    for name in ("text_encoder", "text_encoder_2", "image_encoder"):
        weights = getattr(new, name).state_dict()
        for key, tensor in getattr(old, name).state_dict().items():
            assert torch.equal(tensor, weights[key]), f"{name} {key}"


def test_tokenizers_of_years_ago_read_the_same_and_pad_as_they_did(published: Shelf) -> None:
    stock = _Loader(published, torch.float32).stock(RECIPE)
    for tokenizer, pad in ((stock.tokenizer, "<|endoftext|>"), (stock.tokenizer_2, "!")):
        ids = tokenizer("A  Suit", padding="max_length", max_length=77).input_ids
        read = tokenizer.convert_ids_to_tokens(ids)
        assert read[:4] == ["<|startoftext|>", "a</w>", "suit</w>", "<|endoftext|>"]
        assert set(read[4:]) == {pad}
        assert tokenizer.model_max_length == len(ids)


def test_the_prompt_is_read_by_the_last_layer_but_one(published: Shelf) -> None:
    """And the pooled words are the end mark's, where the configuration names another one (2)."""
    stock = _Loader(published, torch.float32).stock(RECIPE)
    seen: list[torch.Tensor] = []
    for encoder in (stock.text_encoder, stock.text_encoder_2.text_model):
        encoder.encoder.layers[-2].register_forward_hook(lambda *told: seen.append(told[-1]))
    last: list[torch.Tensor] = []
    norm = stock.text_encoder_2.text_model.final_layer_norm
    norm.register_forward_hook(lambda *told: last.append(told[-1]))
    words = _words(stock, RECIPE, torch.device("cpu"), torch.float32)
    assert torch.equal(words.tokens[1:], torch.cat(seen[:2], -1))
    ids = stock.tokenizer_2(RECIPE.prompt, padding="max_length", max_length=77).input_ids
    end = ids.index(stock.tokenizer_2.eos_token_id)
    with torch.inference_mode():
        assert torch.equal(words.pooled[1:], stock.text_encoder_2.text_projection(last[0][:, end]))


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("sdxl-base/text_encoder/model.fp16.safetensors", "encoder.layers.3.mlp.fc1.weight"),
        ("sdxl-base/unet/diffusion_pytorch_model.fp16.safetensors", "conv_in.weight"),
    ],
)
def test_a_weight_that_is_not_in_its_file_is_never_made_up(
    tmp_path: Path, file: str, part: str
) -> None:
    """The libraries do, and warn: a cloth that nobody described would come out of it."""
    shutil.copytree(shelf().root, tmp_path, dirs_exist_ok=True)
    weights = load_file(tmp_path / file)
    kept = {name: weight for name, weight in weights.items() if not name.endswith(part)}
    assert len(kept) == len(weights) - 1
    save_file(kept, tmp_path / file, metadata={"format": "pt"})
    with pytest.raises(EngineFailed, match=re.escape(part)):
        _Loader(Shelf(tmp_path, shelf().known), torch.float32).stock(RECIPE)
