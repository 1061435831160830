"""SDXL_COMPILE: whole blocks are compiled, all of it while warming up, and the picture is the same.

The compiler is the one that only traces: what it is handed is tested here, what a GPU's compiler
makes of it is not.
"""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
from torch._dynamo.utils import counters

from tests.worker.sdxl_tiny import RECIPE, inpaint_engine, letter, looks
from tests.worker.test_sdxl_inpaint import picture, quiet
from worker.engines import Order
from worker.engines.sdxl_inpaint import SdxlInpaintEngine


def graphs() -> int:
    return int(counters["stats"]["unique_graphs"])


def test_warming_up_compiles_all_that_orders_need_and_changes_no_byte() -> None:
    with (
        patch("worker.engines.sdxl_pipeline.COMPILER", "eager"),
        patch.object(SdxlInpaintEngine, "_warm_up"),  # this machine's own: of no use here
    ):
        engine = inpaint_engine(replace(RECIPE, compiled=True))
    engine._warm_up(looks() / "recto", "cuda")
    warm = graphs()
    assert warm > 0
    compiled = picture(engine, letter())
    orders = [Order(letter(look), None) for look in ("recto", "cruzado")]
    assert len(engine.render_batch(orders, quiet)) == 2
    assert graphs() == warm
    assert np.array_equal(compiled, picture(inpaint_engine(), letter()))
