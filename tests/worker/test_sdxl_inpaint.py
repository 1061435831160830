"""sdxl_inpaint on tiny random weights, loaded from disk as the real ones are."""

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any
from unittest.mock import Mock, patch

import cv2
import numpy as np
import pytest
import torch

from models.errors import EngineFailed, LookUnavailable, SwatchUnreadable
from models.letter import Letter
from tests.worker.sdxl_tiny import RECIPE, inpaint_engine, letter, looks, shelf
from worker.__main__ import _device
from worker.engines import Order, Picture
from worker.engines.drape import DrapeEngine, cloth_of
from worker.engines.sdxl_glimpse import glimpse
from worker.engines.sdxl_inpaint import SdxlInpaintEngine
from worker.engines.sdxl_swatch import SwatchSight
from worker.looks import load_look
from worker.packs import folder_of


def quiet(share: float) -> None:
    """Nobody listens."""


def picture(engine: SdxlInpaintEngine, order: Letter, swatch: bytes | None = None) -> Picture:
    return engine.render(order, swatch, quiet).picture


@contextmanager
def calls_of(network: Any) -> Iterator[list[int]]:
    """The batch sizes with which a network is called."""
    sizes: list[int] = []
    hook = network.register_forward_pre_hook(
        lambda _, args, kwargs: sizes.append(len(args[0])), with_kwargs=True
    )
    yield sizes
    hook.remove()


def swatch_letter(base: Letter, content: bytes) -> Letter:
    return base.model_copy(
        update={
            "swatch_key": "swatches/s.png",
            "swatch_sha256": str(hash(content)),
            "swatch_kind": "tile",
            "swatch_width_mm": 100.0,
        }
    )


def striped(blue: int) -> bytes:
    stripes = np.full((120, 120, 3), 60, np.uint8)
    stripes[:, ::12, 0] = blue
    return cv2.imencode(".png", stripes)[1].tobytes()


def test_the_unet_is_called_once_a_step_and_with_two_rows_only_while_guided() -> None:
    engine = inpaint_engine()
    with calls_of(engine.pipeline.base.unet) as rows:
        picture(engine, letter())
    assert rows == [2, 2, 2, 1, 1]  # five steps, guided in the first 60 %


def test_controlnet_is_called_only_where_it_has_a_say() -> None:
    engine = inpaint_engine()
    with calls_of(engine.pipeline.control) as rows:
        picture(engine, letter())
    assert rows == [2, 2, 2]


def test_guidance_and_control_have_intervals_of_their_own() -> None:
    engine = inpaint_engine(replace(RECIPE, guided=(0.2, 0.6), controlled=(0.6, 1.0)))
    with calls_of(engine.pipeline.base.unet) as asked, calls_of(engine.pipeline.control) as led:
        picture(engine, letter())
    assert asked == [1, 2, 2, 1, 1]
    assert led == [1, 1]


def test_the_drape_is_encoded_once() -> None:
    engine = inpaint_engine()
    with calls_of(engine.pipeline.vae.encoder) as encoded:
        picture(engine, letter())
    assert encoded == [1]


@pytest.mark.parametrize("look", ["recto", "cruzado"])
def test_outside_the_cloth_no_byte_differs_and_inside_most_do(look: str) -> None:
    painted = picture(inpaint_engine(), letter(look))
    pack = load_look(looks() / look)
    outside = (pack.panels == 0) | (pack.alpha == 0)
    assert np.array_equal(painted[outside & (pack.panels == 0)], pack.base[pack.panels == 0])
    drape = DrapeEngine(looks())
    drape.setup()
    draped = drape.render(letter(look), None, quiet).picture
    assert np.array_equal(painted[outside], draped[outside])
    assert (painted[~outside] != draped[~outside]).any(axis=1).mean() > 0.5


def test_the_same_order_twice_gives_the_same_bytes() -> None:
    engine = inpaint_engine()
    assert np.array_equal(picture(engine, letter()), picture(engine, letter()))


def test_loaded_afresh_and_without_a_network_it_paints_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the network was asked")

    first = picture(inpaint_engine(), letter())
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    fresh = SdxlInpaintEngine(looks(), shelf(), RECIPE, ())
    fresh.setup()
    assert np.array_equal(first, picture(fresh, letter()))


@pytest.mark.parametrize(
    ("device", "rows_and_cells"),
    [
        ("cpu", [(2, 16, 8), (2, 16, 8), (1, 16, 8)]),
        ("cuda", [(2, 28, 16), (2, 28, 16), (1, 28, 16), (4, 28, 16), (4, 28, 16), (2, 28, 16)]),
    ],
)
def test_warming_up_asks_each_kind_of_question_and_changes_nothing(
    device: str, rows_and_cells: list[tuple[int, int, int]]
) -> None:
    """Small on a CPU; on a GPU in the very shapes of one cut and of both."""
    engine = inpaint_engine()
    first = picture(engine, letter())
    asked: list[tuple[int, int, int]] = []
    hook = engine.pipeline.base.unet.register_forward_pre_hook(
        lambda _, args, kwargs: asked.append((len(args[0]), *args[0].shape[2:])), with_kwargs=True
    )
    engine._warm_up(looks() / "recto", device)
    hook.remove()
    assert asked == rows_and_cells
    assert np.array_equal(first, picture(engine, letter()))


def test_another_seed_gives_another_picture() -> None:
    engine = inpaint_engine()
    assert not np.array_equal(
        picture(engine, letter(noise_seed=1)), picture(engine, letter(noise_seed=2))
    )


def test_a_batch_of_both_cuts_is_what_single_cuts_are() -> None:
    engine = inpaint_engine()
    orders = [Order(letter("recto"), None), Order(letter("cruzado", "#705030"), None)]
    together = engine.render_batch(orders, quiet)
    for order, one in zip(orders, together, strict=True):
        alone = picture(engine, order.letter).astype(int)
        assert np.abs(one.picture - alone).max() <= 1  # float32 sums in another order
        assert one.recipe["batch"] == 2


def test_a_cut_is_finished_while_the_next_one_is_decoded() -> None:
    engine = inpaint_engine()
    decoded: list[int] = []
    second = Event()

    def decoding(*_: Any) -> None:
        decoded.append(len(decoded))
        if len(decoded) == 2:
            second.set()

    finished = engine._finished

    def finishing(*arguments: Any) -> Picture:
        assert second.wait(timeout=60)  # of the first: only then can the next have been decoded
        return finished(*arguments)

    hook = engine.pipeline.vae.decoder.register_forward_pre_hook(decoding)
    with patch.object(engine, "_finished", finishing):
        engine.render_batch([Order(letter("recto"), None), Order(letter("cruzado"), None)], quiet)
    hook.remove()
    assert decoded == [0, 1]


def test_the_swatch_is_seen() -> None:
    engine = inpaint_engine()
    scene, other = (scene_of(engine, striped(blue)) for blue in (90, 250))
    assert not torch.equal(scene.swatch, other.swatch)
    blind = inpaint_engine(replace(RECIPE, ip_scale=0.0))
    with calls_of(engine.pipeline.image_encoder):
        assert blind.pipeline.image_encoder is None
    assert not np.array_equal(picture(engine, letter()), picture(blind, letter()))
    assert not torch.equal(
        predicted(engine, scene), predicted(engine, replace(scene, swatch=other.swatch))
    )


def scene_of(engine: SdxlInpaintEngine, content: bytes) -> Any:
    order = Order(swatch_letter(letter(), content), content)
    drape = engine._drape.render(order.letter, content, quiet)
    return engine._scene([order], [drape], [engine._stands["recto"]])


def predicted(engine: SdxlInpaintEngine, scene: Any) -> torch.Tensor:
    from worker.engines.sdxl_denoise import predicted_noise, steps_of

    step = steps_of(engine.recipe)[0]
    with torch.inference_mode():
        return predicted_noise(engine.pipeline, engine.recipe, scene, scene.noise, step)


def test_a_cached_swatch_is_the_live_one_and_is_not_embedded_again() -> None:
    engine = inpaint_engine()
    cloth = cloth_of(letter(), None)
    views = engine.recipe.swatch_views_cm
    live = SwatchSight(engine.pipeline.image_encoder, views)
    kept = SwatchSight(engine.pipeline.image_encoder, views)
    kept.of("navy", cloth)
    with calls_of(engine.pipeline.image_encoder) as calls:
        assert torch.equal(kept.of("navy", cloth), live.of("navy", cloth))
    assert calls == [len(views)]  # the live one only


def test_one_cloth_in_both_cuts_is_embedded_once_and_another_scale_again() -> None:
    engine = inpaint_engine()
    content = striped(123)
    with calls_of(engine.pipeline.image_encoder) as calls:
        for look in ("recto", "cruzado"):
            engine.render(swatch_letter(letter(look), content), content, quiet)
        assert len(calls) == 1
        wider = swatch_letter(letter(), content).model_copy(update={"swatch_width_mm": 50.0})
        engine.render(wider, content, quiet)
    assert len(calls) == 2


@pytest.mark.parametrize("name", ["depth", "edges", "tile"])
def test_each_map_is_felt(name: str) -> None:
    engine = inpaint_engine()
    scene = scene_of(engine, striped(200))
    assert (scene.maps[name] > 0).any()
    blank = scene.maps | {name: torch.zeros_like(scene.maps[name])}
    felt = predicted(engine, scene)
    assert not torch.equal(felt, predicted(engine, replace(scene, maps=blank)))


def test_a_soft_mask_is_not_a_hard_one() -> None:
    hard = inpaint_engine(replace(RECIPE, feather_cells=0))
    assert not np.array_equal(picture(inpaint_engine(), letter()), picture(hard, letter()))


def test_a_preview_shows_the_cloth_as_far_as_it_is_and_changes_nothing() -> None:
    shown: list[Picture] = []
    engine = inpaint_engine()
    asked = letter(hex_value="#8A7F74")  # far from the ends of the gamut
    order = Order(asked, None, lambda make: shown.append(make()))
    painted = engine.render_shown(order, quiet).picture
    assert np.array_equal(painted, picture(engine, asked))
    (preview,) = shown  # after three of the five steps
    pack = load_look(looks() / "recto")
    assert np.array_equal(preview[pack.panels == 0], pack.base[pack.panels == 0])
    assert (preview[pack.panels > 0] != painted[pack.panels > 0]).any()
    inside = cv2.erode(np.where(pack.panels > 0, pack.alpha, 0), np.ones((9, 9))) == 255
    assert np.linalg.norm(mean_lab(preview, inside) - mean_lab(painted, inside)) < 4


def test_each_order_of_a_batch_is_shown_its_own_cut() -> None:
    shows = {"recto": Mock(), "cruzado": Mock()}
    orders = [Order(letter(look), None, show) for look, show in shows.items()]
    inpaint_engine().render_batch(orders, quiet)
    for look, show in shows.items():
        show.assert_called_once()
        preview = show.call_args.args[0]()
        pack = load_look(looks() / look)
        assert np.array_equal(preview[pack.panels == 0], pack.base[pack.panels == 0])


def test_what_nobody_looks_at_is_not_made() -> None:
    engine = inpaint_engine()
    with patch("worker.engines.sdxl_inpaint.glimpse") as made:
        picture(engine, letter())
    made.assert_not_called()


def test_latents_read_as_the_colours_that_they_were_made_of() -> None:
    rng = np.random.default_rng(5)
    part = rng.integers(30, 220, (16, 12, 3), np.uint8)
    mix = torch.from_numpy(rng.normal(size=(4, 3)))
    known = (mix @ torch.from_numpy(part / 255.0).flatten(0, 1).T + 0.3).reshape(4, 16, 12)
    assert np.abs(glimpse(part, known, known) * 255 - part).max() < 1
    assert np.abs(glimpse(part, known, known.flip(2)) * 255 - part[:, ::-1]).max() < 1


def test_progress_is_told_before_every_step_and_never_falls() -> None:
    told: list[float] = []
    inpaint_engine().render(letter(), None, told.append)
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)
    assert len(set(told)) >= RECIPE.steps + 2


@pytest.mark.parametrize("after_steps", [0, 1, 3])
def test_a_cancelled_order_stops_within_one_step(after_steps: int) -> None:
    class Cancelled(Exception):
        pass

    engine = inpaint_engine()
    with calls_of(engine.pipeline.base.unet) as rows:

        def tick(share: float) -> None:
            if len(rows) == after_steps and share > 0.04:
                raise Cancelled

        with pytest.raises(Cancelled):
            engine.render(letter(), None, tick)
    assert len(rows) == after_steps


def test_an_unreadable_swatch_fails_before_anything_is_painted() -> None:
    engine = inpaint_engine()
    order = swatch_letter(letter(), b"no picture")
    with calls_of(engine.pipeline.base.unet) as rows, pytest.raises(SwatchUnreadable):
        engine.render(order, b"no picture", quiet)
    with pytest.raises(SwatchUnreadable):
        engine.render(order, None, quiet)
    assert rows == []


def test_the_console_is_told_the_card_that_a_worker_works_on() -> None:
    drape, photoreal = DrapeEngine(looks()), SdxlInpaintEngine(looks(), shelf(), RECIPE, ())
    with patch.object(photoreal, "device", "NVIDIA L40S"):
        assert _device([drape, photoreal]) == "NVIDIA L40S"
    assert _device([drape]) == "cpu"


def test_a_look_of_another_version_is_refused() -> None:
    order = letter().model_copy(update={"look_version": "0" * 16})
    with pytest.raises(LookUnavailable):
        inpaint_engine().render(order, None, quiet)


def test_latents_that_are_no_numbers_fail_the_job() -> None:
    engine = inpaint_engine()
    hook = engine.pipeline.vae.decoder.register_forward_hook(
        lambda *_: torch.full((1, 3, 224, 128), torch.nan)
    )
    try:
        with pytest.raises(EngineFailed):
            engine.render(letter(), None, quiet)
    finally:
        hook.remove()


def test_the_recipe_tells_every_value_and_can_be_stored() -> None:
    rendering = inpaint_engine().render(letter(), None, quiet)
    stored = json.loads(json.dumps(rendering.recipe))
    assert stored["engine"] == "sdxl_inpaint"
    for name in ("steps", "strength", "guidance", "controls", "ip_scale", "prompt", "noise_seed"):
        assert name in stored
    assert stored["machine"]["torch"] == torch.__version__
    assert rendering.degraded == ("no-swatch",)


def test_the_painted_cloth_keeps_the_drape_s_colour() -> None:
    """Random weights paint random colours; the lock brings them home."""
    pack = load_look(looks() / "recto")
    inside = cv2.erode(np.where(pack.panels > 0, pack.alpha, 0), np.ones((9, 9))) == 255
    drape = DrapeEngine(looks())
    drape.setup()
    order = letter(hex_value="#8A7F74")  # far from the ends of the gamut, where levels are cut off
    wanted = mean_lab(drape.render(order, None, quiet).picture, inside)
    free = inpaint_engine(replace(RECIPE, colour_lock=0.0, weave=0.0))
    apart_free = np.linalg.norm(mean_lab(picture(free, order), inside) - wanted)
    apart = np.linalg.norm(mean_lab(picture(inpaint_engine(), order), inside) - wanted)
    assert apart < 2
    assert apart < apart_free / 4


def mean_lab(levels: Picture, where: Any) -> Any:
    lab = cv2.cvtColor(levels.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    return lab[where].mean(axis=0)


def test_a_unet_with_nine_channels_sees_the_mask_and_keeps_the_outside() -> None:
    engine = inpaint_engine(replace(RECIPE, unet="sdxl-inpaint-9ch"))
    with calls_of(engine.pipeline.vae.encoder) as encoded:
        painted = picture(engine, letter())
    assert encoded == [1, 1]  # the drape, and what is around the garment
    pack = load_look(looks() / "recto")
    assert np.array_equal(painted[pack.panels == 0], pack.base[pack.panels == 0])


def test_a_batch_that_does_not_fit_is_painted_one_by_one() -> None:
    engine = inpaint_engine()
    orders = [Order(letter("recto"), None), Order(letter("cruzado"), None)]

    def lack(_: Any, args: Any, __: Any) -> None:
        if len(args[0]) > 2:
            raise torch.OutOfMemoryError("no room for two cuts")

    hook = engine.pipeline.base.unet.register_forward_pre_hook(lack, with_kwargs=True)
    try:
        renderings = engine.render_batch(orders, quiet)
    finally:
        hook.remove()
    assert [rendering.recipe["batch"] for rendering in renderings] == [1, 1]
    assert np.array_equal(renderings[0].picture, picture(engine, letter("recto")))


def test_tiles_are_the_last_way_and_are_marked() -> None:
    engine = inpaint_engine()

    def lack(vae: Any, _: Any) -> None:
        if not engine.pipeline.vae.use_tiling:
            raise torch.OutOfMemoryError("no room to decode")

    hook = engine.pipeline.vae.decoder.register_forward_pre_hook(lack)
    try:
        rendering = engine.render(letter(), None, quiet)
    finally:
        hook.remove()
    assert "vae-tiled" in rendering.degraded
    assert not engine.pipeline.vae.use_tiling


@pytest.fixture
def uploaded(tmp_path: Path, setting: Callable[..., None]) -> Letter:
    """An order of `recto` as somebody would upload it: its pack alone, without maps."""
    setting(data_dir=tmp_path)
    order = letter().model_copy(update={"look_key": "looks/x/y.zip", "look_sha256": "a" * 64})
    folder = folder_of(order, looks())
    shutil.copytree(looks() / "recto", folder, ignore=shutil.ignore_patterns("maps"))
    return order


@pytest.fixture
def engine() -> Iterator[SdxlInpaintEngine]:
    """The engine; uploads that it has seen are forgotten after the test."""
    engine = inpaint_engine()
    yield engine
    engine._fetched_stands.clear()


def test_an_uploaded_look_is_painted_with_edges_and_tile_alone_and_says_so(
    uploaded: Letter, engine: SdxlInpaintEngine
) -> None:
    rendering = engine.render(uploaded, None, quiet)
    folder = folder_of(uploaded, looks())
    outside = load_look(folder).panels == 0
    assert np.array_equal(rendering.picture[outside], load_look(folder).base[outside])
    assert rendering.recipe["controls"] == {"edges": 0.5, "tile": 0.4}
    assert "no-depth" in rendering.degraded
    house = engine.render(letter(), None, quiet)
    assert house.recipe["controls"] == {"depth": 0.5, "edges": 0.3, "tile": 0.4}
    assert "no-depth" not in house.degraded
    assert not np.array_equal(rendering.picture, house.picture)
    shutil.rmtree(folder)
    assert np.array_equal(picture(engine, uploaded), rendering.picture)  # kept in memory


def test_an_uploaded_look_that_brings_its_depth_is_led_by_it(
    uploaded: Letter, engine: SdxlInpaintEngine
) -> None:
    maps = folder_of(uploaded, looks()) / "maps"
    maps.mkdir()
    shutil.copy(looks() / "recto" / "maps" / "depth.png", maps)
    rendering = engine.render(uploaded, None, quiet)
    assert rendering.recipe["controls"] == {"depth": 0.5, "edges": 0.3, "tile": 0.4}
    assert "no-depth" not in rendering.degraded


def test_looks_that_are_led_by_other_maps_are_never_painted_together(
    uploaded: Letter, engine: SdxlInpaintEngine
) -> None:
    told: list[float] = []
    orders = [Order(o, None) for o in (letter(), uploaded, letter("cruzado"))]
    with calls_of(engine.pipeline.base.unet) as rows:
        made = engine.render_batch(orders, told.append)
    assert rows == [4, 4, 4, 2, 2, 2, 2, 2, 1, 1]  # both looks of the house, then the uploaded one
    assert [rendering.recipe["batch"] for rendering in made] == [2, 1, 2]
    assert [rendering.recipe["look"] for rendering in made] == ["recto", "recto", "cruzado"]
    assert [set(rendering.recipe["controls"]) for rendering in made] == [
        {"depth", "edges", "tile"},
        {"edges", "tile"},
        {"depth", "edges", "tile"},
    ]
    assert np.array_equal(made[1].picture, picture(engine, uploaded))
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_an_uploaded_look_that_only_depth_could_lead_is_refused(uploaded: Letter) -> None:
    engine = inpaint_engine(replace(RECIPE, controls={"depth": 0.9}, controls_without_depth={}))
    with pytest.raises(LookUnavailable, match="no tiene mapa"):
        engine.render(uploaded, None, quiet)
