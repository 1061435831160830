"""Profiles and the settings' known names make a recipe."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from models.settings import Settings
from worker.engines.sdxl_recipe import (
    FULL,
    INPAINT,
    Recipe,
    for_warming_up,
    full_recipe,
    inpaint_recipe,
)


def chosen(**values: Any) -> Settings:
    return Settings.model_validate(values)


@pytest.mark.parametrize("profile", ["fast", "standard", "best"])
def test_without_further_settings_a_profile_is_itself(profile: str) -> None:
    assert inpaint_recipe(chosen(sdxl_profile=profile)) == INPAINT[profile]
    assert full_recipe(chosen(sdxl_profile=profile)) == FULL[profile]


def test_a_better_profile_takes_more_steps() -> None:
    steps = [INPAINT[profile].steps for profile in ("fast", "standard", "best")]
    assert steps == sorted(set(steps))


def test_known_names_keep_their_meaning() -> None:
    recipe = inpaint_recipe(
        chosen(
            inpaint_steps=100,
            inpaint_strength=0.65,
            inpaint_guidance=4.0,
            inpaint_ip_adapter_scale=1.0,
            controlnet_weight=0.9,
            controlnet2_weight=0.65,
            controlnet_guidance_start=0.05,
            controlnet_guidance_end=0.88,
        )
    )
    assert recipe.steps == 65  # of a schedule of 100 a share of 0.65 runs
    assert (recipe.strength, recipe.guidance, recipe.ip_scale) == (0.65, 4.0, 1.0)
    assert recipe.controls["depth"] == 0.9
    assert recipe.controls["edges"] == 0.65
    assert recipe.controlled == (0.05, 0.88)


def test_known_names_of_the_full_engine() -> None:
    recipe = full_recipe(
        chosen(
            total_steps=80, guidance=4.3, use_refiner=True, refiner_split=0.7, ip_adapter_scale=0
        )
    )
    assert (recipe.steps, recipe.guidance, recipe.ip_scale) == (80, 4.3, 0)
    assert not recipe.refines(55)
    assert recipe.refines(56)
    assert recipe.controls_at(56) == {}


def test_parts_that_are_switched_off_are_off() -> None:
    recipe = inpaint_recipe(chosen(ip_adapter_enabled=False, controlnet_enabled=False))
    assert recipe.ip_scale == 0
    assert recipe.controls_at(0) == recipe.without_depth().controls_at(0) == {}


def test_a_control_of_scale_nothing_is_left_out() -> None:
    recipe = inpaint_recipe(chosen(controlnet2_weight=0))
    assert recipe.controls_at(0) == {"depth": 0.5, "tile": 0.4}
    assert recipe.without_depth().controls_at(0) == {"tile": 0.4}


@pytest.mark.parametrize("recipe", [inpaint_recipe, full_recipe])
def test_a_look_without_depth_is_led_by_the_other_maps_as_the_settings_say(recipe: Any) -> None:
    asked = recipe(chosen(controlnet_weight=0.9, controlnet2_weight=0.65))
    assert (asked.controls["depth"], asked.controls["edges"]) == (0.9, 0.65)
    without = asked.without_depth().controls
    assert set(without) == set(asked.controls) - {"depth"}
    assert without["edges"] == 0.65


@pytest.mark.parametrize("recipe", [*INPAINT.values(), *FULL.values()], ids=lambda r: r.profile)
def test_every_profile_is_led_by_depth_and_edges_within_the_published_ranges(
    recipe: Recipe,
) -> None:
    assert 0.5 <= recipe.controls["depth"] <= 0.9
    assert recipe.controls["edges"] < recipe.controls["depth"]
    assert 0.3 <= recipe.controls.get("tile", 0.3) <= 0.6
    assert recipe.without_depth().controls["edges"] > recipe.controls["edges"]


def test_compiling_is_part_of_the_recipe_as_it_gives_other_bits() -> None:
    for recipe in (inpaint_recipe, full_recipe):
        assert recipe(chosen(sdxl_compile=True)) == replace(recipe(chosen()), compiled=True)
    assert "sdxl_compile" in chosen().photoreal_recipe


def test_guidance_of_one_asks_once() -> None:
    assert not inpaint_recipe(chosen(inpaint_guidance=1)).guides(0)


def test_a_recipe_can_be_stored() -> None:
    stored = json.loads(json.dumps(INPAINT["standard"].as_json()))
    assert stored["controls"] == {"depth": 0.5, "edges": 0.3, "tile": 0.4}
    assert "controls_without_depth" not in stored


ALL = [*INPAINT.values(), *FULL.values(), full_recipe(chosen(use_refiner=True))]


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.profile)
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_warming_up_leaves_out_no_kind_of_step(recipe: Recipe, device: str) -> None:
    few = for_warming_up(recipe, device)
    assert few.kinds_of_steps() == recipe.kinds_of_steps()
    assert few.steps <= 7 < recipe.steps


def test_a_gpu_is_warmed_up_at_full_size_and_a_cpu_at_the_smallest() -> None:
    standard = INPAINT["standard"]
    assert for_warming_up(standard, "cuda").size_px == standard.size_px
    assert for_warming_up(standard, "cpu").size_px == (64, 128)


@pytest.mark.parametrize("mode", ["inpaint", "full", "mock"])
def test_the_known_mode_names_the_engine(mode: str) -> None:
    names = {"inpaint": "sdxl_inpaint", "full": "sdxl_full", "mock": "mock"}
    assert chosen(generator_mode=mode).chosen_final_engine == names[mode]
    assert chosen(generator_mode=mode, use_mock_generator=True).chosen_final_engine == "mock"


def test_two_different_engines_are_refused() -> None:
    with pytest.raises(ValidationError, match="different engines"):
        chosen(generator_mode="inpaint", final_engine="drape")


@pytest.mark.parametrize("name", ["ip_adapter_weight", "inpaint_ip_adapter_weight"])
def test_a_pickle_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValidationError, match=r"ip-adapter-plus_sdxl_vit-h\.safetensors"):
        chosen(**{name: "ip-adapter_sdxl.bin"})
