"""The loop's arithmetic against the library's scheduler, its questions against its pipeline."""

import math
import warnings
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionXLImg2ImgPipeline

from models.errors import EngineFailed
from tests.worker.sdxl_tiny import RECIPE, inpaint_engine, letter, shelf
from worker.engines import Order
from worker.engines.sdxl_denoise import (
    Scene,
    Step,
    _paced,
    advanced,
    predicted_noise,
    schedule,
    steps_of,
    timestep_of,
)
from worker.engines.sdxl_pipeline import Pipeline, _add_swatch_sight, _Loader, check_swatch_sight


def scheduler(steps: int) -> Any:
    made = DPMSolverMultistepScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        use_karras_sigmas=True,
        timestep_spacing="leading",
        steps_offset=1,
    )
    with warnings.catch_warnings():  # it treats a numpy array as a number
        warnings.simplefilter("ignore", DeprecationWarning)
        made.set_timesteps(steps)
    return made


@pytest.mark.parametrize("steps", [4, 12, 30])
def test_the_sigmas_are_the_library_s_karras_sigmas(steps: int) -> None:
    assert schedule(1.0, steps) == pytest.approx(scheduler(steps).sigmas.tolist(), rel=1e-4)


def test_the_start_depends_on_the_strength_alone() -> None:
    starts = {round(schedule(0.4, steps)[0], 9) for steps in (1, 5, 20)}
    assert len(starts) == 1
    assert schedule(0.4, 5)[0] < schedule(0.6, 5)[0] < schedule(1.0, 5)[0]
    assert timestep_of(schedule(0.4, 5)[0]) == pytest.approx(399)


@pytest.mark.parametrize("steps", [2, 6, 20])
def test_the_sampler_takes_the_library_s_steps(steps: int) -> None:
    """Both follow the same made-up network from the same noise; theirs scales by sqrt(1 + s^2)."""
    theirs = scheduler(steps)
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    sigmas = theirs.sigmas.double().tolist()
    x, clean_before = start * sigmas[0], None
    vp = x / math.sqrt(1 + sigmas[0] ** 2)
    for n, time in enumerate(theirs.timesteps):
        vp = theirs.step(network(vp), time, vp).prev_sample
        clean = x - sigmas[n] * network(x / math.sqrt(1 + sigmas[n] ** 2))
        before = sigmas[n - 1] if n else None
        x = advanced(x, clean, clean_before, Step(n, before, sigmas[n], sigmas[n + 1]))
        clean_before = clean
    torch.testing.assert_close(x, vp, rtol=1e-4, atol=1e-4)


def network(seen: torch.Tensor) -> torch.Tensor:
    return torch.tanh(1.3 * seen + 0.2)


def test_a_held_cell_ends_as_known_and_a_free_one_does_not() -> None:
    from worker.engines.sdxl_denoise import denoise

    engine = inpaint_engine()
    scene = tiny_scene(engine)
    painted = denoise(engine.pipeline, engine.recipe, scene, lambda _: None)
    held = (scene.freedom == 0).expand_as(painted)
    assert held.any()
    assert torch.equal(painted[held], scene.known[held])
    assert (painted[~held] != scene.known[~held]).float().mean() > 0.9


def tiny_scene(engine: Any) -> Scene:
    order = Order(letter(), None)
    drape = engine._drape.render(order.letter, None, lambda _: None)
    scene: Scene = engine._scene([order], [drape], [engine._stands["recto"]])
    return scene


def test_the_unet_is_told_what_the_library_s_pipeline_tells_it() -> None:
    """Words, pooled words, sizes and swatch, with and without guidance's other row."""
    ours, theirs = our_question(), their_question()
    assert torch.equal(ours["encoder_hidden_states"], theirs["encoder_hidden_states"])
    for name in ("text_embeds", "time_ids"):
        assert torch.equal(ours["added_cond_kwargs"][name], theirs["added_cond_kwargs"][name])
    mine, stock = (told["added_cond_kwargs"]["image_embeds"][0] for told in (ours, theirs))
    assert mine.shape == stock.shape
    torch.testing.assert_close(mine, stock, rtol=1e-5, atol=1e-5)


def our_question() -> dict[str, Any]:
    engine = inpaint_engine()
    scene = tiny_scene(engine)
    with hooked(engine.pipeline.base.unet) as told, torch.inference_mode():
        step = steps_of(RECIPE)[0]
        predicted_noise(engine.pipeline, RECIPE, scene, scene.noise, step)
    return told[0]


def their_question() -> dict[str, Any]:
    engine = inpaint_engine()
    pipe = stock_pipeline()
    width, height = RECIPE.size_px
    swatch = tiny_scene(engine).swatch
    assert swatch is not None
    with hooked(pipe.unet) as told, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe(
            prompt=RECIPE.prompt,
            negative_prompt=RECIPE.negative,
            image=torch.zeros(1, 3, height, width),
            strength=0.5,
            num_inference_steps=2,
            guidance_scale=RECIPE.guidance,
            ip_adapter_image_embeds=[swatch.flatten(0, 1)],
            output_type="latent",
        )
    return told[0]


def stock_pipeline() -> Any:
    stock = _Loader(shelf(), torch.float32).stock(RECIPE)
    _add_swatch_sight(stock, RECIPE, shelf())
    pipe = StableDiffusionXLImg2ImgPipeline(**stock.components, add_watermarker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


class hooked:  # noqa: N801 (reads as a verb)
    """What a UNet is told, call by call."""

    def __init__(self, unet: Any) -> None:
        self.told: list[dict[str, Any]] = []
        self._hook = unet.register_forward_pre_hook(
            lambda _, args, kwargs: self.told.append(kwargs), with_kwargs=True
        )

    def __enter__(self) -> list[dict[str, Any]]:
        return self.told

    def __exit__(self, *_: object) -> None:
        self._hook.remove()


def test_a_cut_is_led_by_its_own_look_whoever_is_painted_beside_it() -> None:
    """ControlNet-Union's fusing transformer attends along the batch: here, to the last bit, not."""
    engine = inpaint_engine()
    orders = [Order(letter(look), None) for look in ("recto", "cruzado")]
    drapes = [engine._drape.render(order.letter, None, lambda _: None) for order in orders]
    scene = engine._scene(orders, drapes, [engine._stands[order.letter.look] for order in orders])
    maps = {name: torch.cat([both[:1], 1 - both[1:]]) for name, both in scene.maps.items()}
    step = steps_of(RECIPE)[0]
    with torch.inference_mode():
        first, other = (
            predicted_noise(engine.pipeline, RECIPE, each, scene.noise, step)
            for each in (scene, replace(scene, maps=maps))
        )
    assert torch.equal(first[0], other[0])
    assert not torch.equal(first[1], other[1])


def test_a_card_is_never_asked_for_more_than_two_steps_at_once() -> None:
    told: list[tuple[str, int]] = []

    class End:
        def __init__(self, blocking: bool) -> None:
            self.number = sum(what == "begun" for what, _ in told) - 1

        def record(self) -> None:
            told.append(("asked for", self.number))

        def synchronize(self) -> None:
            told.append(("waited for", self.number))

    with patch("torch.cuda.Event", End):
        for step in _paced(steps_of(RECIPE), torch.device("cuda")):
            told.append(("begun", step.number))
    for number in range(2, RECIPE.steps):
        assert told.index(("waited for", number - 2)) < told.index(("begun", number))
        assert told.index(("begun", number - 1)) < told.index(("waited for", number - 2))


def test_an_attention_that_no_longer_sees_the_swatch_is_noticed() -> None:
    stock = _Loader(shelf(), torch.float32).stock(RECIPE)
    _add_swatch_sight(stock, RECIPE, shelf())
    assert check_swatch_sight(stock.unet) == 12
    stock.unet.set_default_attn_processor()
    with pytest.raises(EngineFailed):
        check_swatch_sight(stock.unet)


def test_the_pipeline_keeps_no_text_encoder() -> None:
    pipeline = inpaint_engine().pipeline
    assert isinstance(pipeline, Pipeline)
    assert {name for name in vars(pipeline) if "text" in name} == set()
