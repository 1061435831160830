"""The mock engine: at once and in the cloth's colour; interruptible when it is told to be slow."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import InvalidInput, LeaseLost, SwatchUnreadable
from models.letter import Letter
from worker.engines import engine_named
from worker.engines.mock import HEIGHT_PX, WIDTH_PX, MockEngine

LETTER = Letter(
    cut="recto",
    look="recto",
    look_version="0" * 16,
    width_px=1024,
    height_px=1536,
    stage="draft",
    fabric_hex="#1B2440",
    noise_seed=0,
)


def no_tick(share: float) -> None:
    pass


def test_the_placeholder_has_the_fabrics_colour() -> None:
    picture = MockEngine().render(LETTER, None, no_tick).picture
    assert picture.shape == (HEIGHT_PX, WIDTH_PX, 3)
    assert picture.dtype == np.uint8
    assert (picture == (0x40, 0x24, 0x1B)).all()


def test_the_placeholder_of_a_swatch_has_its_mean_colour() -> None:
    done, data = cv2.imencode(".png", np.full((64, 64, 3), (10, 120, 200), np.uint8))
    assert done
    picture = MockEngine().render(LETTER, data.tobytes(), no_tick).picture
    assert (picture == (10, 120, 200)).all()


@pytest.mark.parametrize("swatch", [b"", b"not cloth"])
def test_a_swatch_that_cannot_be_read_is_refused(swatch: bytes) -> None:
    with pytest.raises(SwatchUnreadable):
        MockEngine().render(LETTER, swatch, no_tick)


def test_a_placeholder_says_that_it_is_one() -> None:
    assert MockEngine().render(LETTER, None, no_tick).degraded == ("placeholder",)


def test_a_long_render_tells_its_progress_in_small_steps() -> None:
    told: list[float] = []
    MockEngine(render_seconds=0.1).render(LETTER, None, told.append)
    assert len(told) >= 4
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 1)


def test_a_long_render_stops_as_soon_as_the_lease_is_lost() -> None:
    told: list[float] = []

    def lose(share: float) -> None:
        told.append(share)
        if len(told) == 2:
            raise LeaseLost

    with pytest.raises(LeaseLost):
        MockEngine(render_seconds=60).render(LETTER, None, lose)
    assert len(told) == 2


def test_the_engine_is_found_by_its_name_and_an_unknown_one_is_refused() -> None:
    assert engine_named("mock", Path()).name == "mock"
    with pytest.raises(InvalidInput, match="dall-e"):
        engine_named("dall-e", Path())
