"""Uploads made into packs: stored, drawn, ordered from the store alone; what cannot be is told."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import cv2
import numpy as np
import pytest

from bench.photo_looks import photographed, source_cloth
from models import look_uploads, packs, queue
from models.catalogue import OVERLAYS, WORN, overlay_key
from models.database import transaction
from models.errors import StorageError
from models.look_uploads import LookLetter
from models.settings import settings
from models.storage import Storage, storage
from tests.looks import CUT, about_of, forget_uploads, sealed, small_pack, uploaded
from tests.orders import let_backoff_pass, let_leases_lapse, place, sql
from tests.workers import start_worker
from worker import apprentice, look_maker
from worker.look_maker import LookMaker
from worker.looks import DEPTH, load_look
from worker.packs import write_files
from worker.sweep import sweep_looks, sweep_overlays

SMALL_PHOTO = 2  # `recto` at half its size: a quarter has too few pixels a centimetre for a photo


@pytest.fixture(autouse=True)
def nothing_left(clean: None) -> Iterator[None]:
    yield
    forget_uploads()
    for found in list(storage().list(f"catalogue/look-{CUT}-")):
        storage().delete(found.key)
    shutil.rmtree(settings().data_dir / "packs", ignore_errors=True)


def make() -> None:
    assert LookMaker("test-worker", storage()).do_once()


def of(id: UUID) -> Any:
    with transaction() as session:
        return next(row for row in look_uploads.listed(session) if row.id == id)


def activate(id: UUID) -> None:
    with transaction() as session:
        look_uploads.activate(session, id)


def order() -> Any:
    """The status, error code and truth of an order of the uploaded cut."""
    id = place((CUT,))
    return lambda: sql(
        "SELECT json_build_array(j.status, j.error_code, i.recipe->'truth'->>'grade')"
        "  FROM jobs j LEFT JOIN images i ON i.id = j.image_id WHERE generation_id = :id",
        id=id,
    )


@cache
def photo_files(folder: Path) -> dict[str, bytes]:
    """A photo of the small suit in plain sand, with the marks of a careful person."""
    write_files(folder / CUT, dict(small_pack(SMALL_PHOTO)))
    taken = photographed(load_look(folder / CUT), source_cloth("light"))
    photo, mask = (cv2.imencode(".png", x)[1].tobytes() for x in (taken.levels, taken.mask))
    return {"photo": photo, "mask.png": mask, "panels.json": json.dumps(taken.plan).encode()}


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return photo_files(tmp_path_factory.mktemp("photo"))


# --- a finished pack ------------------------------------------------------------------------------


def test_a_pack_is_looked_over_drawn_and_ready() -> None:
    id = uploaded()
    make()
    row = of(id)
    assert (row.state, row.width_px, row.height_px) == ("ready", 256, 384)
    assert row.pack_version == packs.version_of(small_pack())
    stored = {found.key for found in storage().list(overlay_key(CUT, row.pack_version, ""))}
    layers = (*OVERLAYS, WORN)
    assert stored == {overlay_key(CUT, row.pack_version, layer) for layer in layers}
    assert not LookMaker("test-worker", storage()).do_once()


def test_an_order_of_an_uploaded_cut_is_rendered_from_the_store_alone(
    work: Callable[[], int],
) -> None:
    id = uploaded()
    make()
    activate(id)
    outcome = order()
    assert work() == 1
    assert outcome() == ["completed", None, "green"]
    folders = list((settings().data_dir / "packs").glob(f"*/{CUT}/look.json"))
    assert len(folders) == 1
    again = order()
    assert work() == 1  # from memory
    assert again()[0] == "completed"


def test_an_order_whose_pack_was_damaged_fails_in_words(work: Callable[[], int]) -> None:
    id = uploaded()
    make()
    activate(id)
    key = sql("SELECT pack_key FROM looks WHERE cut = :cut", cut=CUT)
    storage().delete(key)
    storage().put(key, b"other bytes", packs.CONTENT_TYPE)
    outcome = order()
    work()
    assert outcome()[:2] == ["failed", "look-unreadable"]


def far_suit() -> dict[str, bytes]:
    """With a depth map that shows near as black."""
    alpha = cv2.imdecode(np.frombuffer(small_pack()["alpha.png"], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert alpha is not None
    return {**small_pack(), DEPTH: cv2.imencode(".png", 255 - alpha)[1].tobytes()}


def broken(**about: Any) -> dict[str, bytes]:
    return sealed(small_pack(), about_of(small_pack()) | about)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (broken(panels={}), "look.json: panels.png usa paneles sin nombre"),
        (broken(panels="rf"), "look.json: panels no es id"),
        (sealed({**small_pack(), "u.png": b"\x89PNG"}, about_of(small_pack())), "dañado u.png"),
        (far_suit(), "maps/depth.png no muestra el traje más cerca que el fondo"),
    ],
    ids=["nameless panels", "no panels", "a header without a picture", "near is black"],
)
def test_what_only_pixels_tell_is_said_on_the_upload(files: dict[str, bytes], words: str) -> None:
    id = uploaded(files)
    make()
    row = of(id)
    assert (row.state, row.error_code) == ("failed", "invalid-input")
    assert words in row.error
    assert "/tmp" not in row.error
    assert sql("SELECT count(*) FROM jobs WHERE status = 'pending'") == 0


def test_bytes_that_are_not_the_uploads_are_not_made() -> None:
    id = uploaded()
    key = sql("SELECT source_key FROM look_uploads")
    storage().delete(key)
    make()
    assert of(id).error == "Lo que se subió ya no está guardado; súbelo otra vez."


def test_the_pictures_of_a_discarded_upload_are_swept_and_no_others() -> None:
    first = uploaded()
    make()
    version = of(first).pack_version
    kept = (overlay_key("recto", "0" * 16, "mask"), f"catalogue/look-{CUT}-{version}.jpg")
    for key in kept:
        storage().put(key, b"bytes", "image/jpeg")
    assert swept_overlays() == 0
    discard(first)
    again = uploaded()  # the same pack: what is drawn is not drawn again
    assert swept_overlays() == 0
    make()
    activate(again)
    sql("DELETE FROM look_uploads")
    assert swept_overlays() == 0  # the cut shows them
    sql("DELETE FROM looks WHERE pack_key IS NOT NULL")
    assert swept_overlays() == len((*OVERLAYS, WORN))
    for key in kept:
        assert storage().get(key) == b"bytes"
        storage().delete(key)


def discard(id: UUID) -> None:
    with transaction() as session:
        look_uploads.discard(session, id)


def swept_overlays() -> int:
    return sweep_overlays(storage(), datetime.now(UTC) + timedelta(hours=5))


# --- a photo --------------------------------------------------------------------------------------


def test_a_photo_becomes_a_pack_and_is_ordered(
    photo: dict[str, bytes], work: Callable[[], int]
) -> None:
    id = uploaded(photo, kind="photo")
    make()
    row = of(id)
    assert (row.state, row.error) == ("ready", None)
    assert (row.width_px, row.height_px) == (512, 768)
    activate(id)
    outcome = order()
    assert work() == 1
    assert outcome()[0] == "completed"
    source = sql("SELECT source_key FROM look_uploads")
    later = datetime.now(UTC) + timedelta(hours=5)
    assert sweep_looks(storage(), later) == 1
    left = [found.key for found in storage().list(packs.PREFIX)]
    assert left == [sql("SELECT pack_key FROM looks WHERE cut = :cut", cut=CUT)]
    assert source not in left


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"panels.json": b'{"format_version": 1}'}, "panels.json: falta panels, scale"),
        ({"photo": b"no photo"}, "photo: no es una imagen que se pueda leer."),
        (
            {"mask.png": cv2.imencode(".png", np.zeros((768, 512), np.uint8))[1].tobytes()},
            "La máscara no marca tela",
        ),
    ],
    ids=["no panels", "no photo", "an empty mask"],
)
def test_what_is_wrong_with_a_photo_is_said_on_the_upload(
    photo: dict[str, bytes], change: dict[str, bytes], words: str
) -> None:
    id = uploaded(photo | change, kind="photo")
    make()
    row = of(id)
    assert row.state == "failed"
    assert row.error.startswith(words)
    assert sql("SELECT count(*) FROM images") == 0


# --- in a process of its own ----------------------------------------------------------------------


def test_a_real_worker_has_it_made_beside_its_pictures() -> None:
    id = uploaded()
    worker = start_worker()
    try:
        wait_until(lambda: of(id).state != "making", "the pack is made")
        activate(id)
        outcome = order()
        wait_until(lambda: outcome()[0] not in ("pending", "processing"), "the suit is rendered")
        assert (of(id).state, outcome()[0]) == ("on", "completed")
    finally:
        worker.terminate()
        assert worker.wait(60) == 0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """The limit only ends a test that is broken."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"waited too long until {what}"
        time.sleep(0.05)


def test_an_apprentice_is_called_for_work_and_can_be_dismissed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[list[str]] = []
    popen = subprocess.Popen

    def sleeping(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        called.append(command)
        return popen([sys.executable, "-c", "import time; time.sleep(600)"], **options)

    monkeypatch.setattr(apprentice, "LOOK_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(subprocess, "Popen", sleeping)
    idle = apprentice.Apprentice()
    idle.call_when_due()
    idle.dismiss()
    assert called == []
    uploaded()
    busy = apprentice.Apprentice()
    for _ in range(3):
        busy.call_when_due()
    assert [command[1:] for command in called] == [["-m", "worker.look_maker"]]
    busy.dismiss()
    assert not busy._is_at_work()


# --- what goes wrong with us ----------------------------------------------------------------------


class Away:
    """A store that does not answer."""

    def get(self, key: str) -> bytes:
        raise StorageError("La nube no contesta.")


def test_a_store_that_is_away_is_tried_again() -> None:
    id = uploaded()
    assert LookMaker("test-worker", cast(Storage, Away())).do_once()
    assert of(id).state == "making"
    let_backoff_pass()
    make()
    assert of(id).state == "ready"


def test_a_maker_that_lost_its_lease_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pack_in = look_maker._pack_in

    def overtaken(folder: Path, letter: LookLetter, files: dict[str, bytes]) -> Path:
        let_leases_lapse()
        with transaction() as session:
            queue.expire(session)
        return pack_in(folder, letter, files)

    id = uploaded()
    monkeypatch.setattr(look_maker, "_pack_in", overtaken)
    make()
    assert of(id).state == "making"
    assert sql("SELECT status FROM jobs") == "pending"


def test_a_maker_that_is_told_to_stop_hands_the_upload_back_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told_to_stop(*_: object) -> Path:
        sys.exit()

    id = uploaded()
    with monkeypatch.context() as told:
        told.setattr(look_maker, "_pack_in", told_to_stop)
        with pytest.raises(SystemExit):
            LookMaker("test-worker", storage()).do_once()
    assert sql("SELECT status FROM jobs WHERE attempts = 0") == "pending"
    make()
    assert of(id).state == "ready"


def test_a_break_tells_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaking(*_: object) -> Path:
        raise ValueError("secret")

    monkeypatch.setattr(look_maker, "_pack_in", breaking)
    uploaded()
    make()
    assert sql("SELECT error FROM jobs") == "El look no se pudo hacer por un problema nuestro."
