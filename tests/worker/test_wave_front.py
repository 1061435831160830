"""Wave front: three stripes tell the tilt under which they are seen; cloth without a wave, none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.wave_front import tilt_by_wave

FOCAL_PX = 200 * 26 / 36
WHOLE = np.ones((150, 200), np.float32)


def stripes(tilt: tuple[float, float]) -> NDArray[np.float32]:
    y, x = np.mgrid[:150, :200]
    x, y = (x + 0.5 - 100) / FOCAL_PX, (y + 0.5 - 75) / FOCAL_PX
    across = (x + 0.1 * y) / (1 + tilt[0] * x + tilt[1] * y)
    light = 0.3 * np.cos(2 * np.pi * 2.6 * across)
    return np.asarray(light + np.random.default_rng(1).normal(0, 0.05, x.shape), np.float32)


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.3, 0.0), (0.0, -0.3), (-0.2, 0.25)])
def test_three_stripes_tell_the_tilt(tilt: tuple[float, float]) -> None:
    found = tilt_by_wave(stripes(tilt), WHOLE, FOCAL_PX)
    assert found is not None
    assert found == pytest.approx(tilt, abs=0.05)


def test_cloth_without_a_pattern_tells_none() -> None:
    noise = np.random.default_rng(2).normal(0, 0.1, (150, 200)).astype(np.float32)
    assert tilt_by_wave(noise, WHOLE, FOCAL_PX) is None
