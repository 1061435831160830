"""sdxl_full on tiny random weights."""

from dataclasses import replace

import numpy as np

from tests.worker.sdxl_tiny import FULL_RECIPE, full_engine, letter, looks
from tests.worker.test_sdxl_inpaint import calls_of, picture
from worker.looks import load_look


def test_the_whole_picture_is_new_and_of_the_look_s_size() -> None:
    painted = picture(full_engine(), letter())
    pack = load_look(looks() / "recto")
    assert painted.shape == pack.base.shape
    outside = pack.panels == 0
    assert (painted[outside] != pack.base[outside]).any(axis=1).mean() > 0.9


def test_the_same_order_twice_gives_the_same_bytes() -> None:
    assert np.array_equal(picture(full_engine(), letter()), picture(full_engine(), letter()))


def test_the_refiner_takes_over_where_the_recipe_says() -> None:
    engine = full_engine(replace(FULL_RECIPE, refiner_from=0.6, guided=(0.0, 0.8)))
    assert engine.pipeline.refiner is not None
    with (
        calls_of(engine.pipeline.base.unet) as base,
        calls_of(engine.pipeline.refiner.unet) as refiner,
        calls_of(engine.pipeline.control) as control,
    ):
        picture(engine, letter())
    assert base == [2, 2, 2]
    assert refiner == [2, 1]  # guided up to 80 %
    assert control == [2, 2, 2]  # never with the refiner


def test_the_look_leads_the_picture() -> None:
    led = full_engine()
    free = full_engine(replace(FULL_RECIPE, controls={}, controls_without_depth={}))
    assert free.pipeline.control is None
    assert not np.array_equal(picture(led, letter()), picture(free, letter()))


def test_its_recipe_names_the_maps_that_led_it() -> None:
    led = full_engine().render(letter(), None, lambda _: None)
    assert led.recipe["controls"] == {"depth": 0.7, "edges": 0.4}
    assert led.recipe["engine_version"] == "2"
