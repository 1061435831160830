"""Uploaded packs on a worker's machine: fetched once, proved, bounded, and never another one."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models import packs
from models.errors import LookUnreadable
from models.letter import Letter
from models.storage import FolderStorage
from tests.looks import CUT, small_pack
from worker import packs as kept_packs
from worker.looks import DEPTH, load_look, own_depth
from worker.packs import Packs, folder_of

KEY = "looks/x/chaque.zip"


class Counting(FolderStorage):
    """A store that counts how often it is read."""

    reads = 0

    def get(self, key: str) -> bytes:
        self.reads += 1
        return super().get(key)


@pytest.fixture
def store(tmp_path: Path, setting: Callable[..., None]) -> Counting:
    setting(data_dir=tmp_path / "machine")
    store = Counting(tmp_path / "store")
    store.put(KEY, packs.bundled(small_pack()), packs.CONTENT_TYPE)
    store.reads = 0
    return store


def letter(**changes: Any) -> Letter:
    fields = {
        "cut": CUT,
        "look": CUT,
        "look_version": packs.version_of(small_pack()),
        "look_key": KEY,
        "look_sha256": packs.sha256_of(packs.bundled(small_pack())),
        "width_px": 256,
        "height_px": 384,
        "stage": "draft",
        "fabric_hex": "#203060",
        "noise_seed": 1,
    }
    return Letter.model_validate(fields | changes)


def test_a_pack_is_fetched_once_and_is_a_look(store: Counting) -> None:
    shelf = Packs(store)
    for _ in range(3):
        shelf.fetch(letter())
    assert store.reads == 1
    look = load_look(folder_of(letter(), Path("nowhere")))
    assert (look.name, look.version) == (CUT, letter().look_version)


def test_the_depth_that_a_pack_brings_lies_beside_it(store: Counting) -> None:
    files = {**small_pack(), DEPTH: small_pack()["alpha.png"]}
    store.put("looks/x/deep.zip", packs.bundled(files), packs.CONTENT_TYPE)
    deep = letter(look_key="looks/x/deep.zip", look_sha256=packs.sha256_of(packs.bundled(files)))
    Packs(store).fetch(deep)
    folder = folder_of(deep, Path())
    assert own_depth(folder, load_look(folder)) is not None


def test_looks_of_the_house_are_fetched_from_nowhere(store: Counting) -> None:
    house = letter(look_key=None, look_sha256=None)
    Packs(store).fetch(house)
    assert store.reads == 0
    assert folder_of(house, Path("looks")) == Path("looks") / CUT


def test_another_worker_of_the_machine_finds_what_was_fetched(store: Counting) -> None:
    Packs(store).fetch(letter())
    Packs(store).fetch(letter())
    assert store.reads == 1


def test_what_a_crash_left_half_written_is_fetched_anew(store: Counting) -> None:
    Packs(store).fetch(letter())
    folder = folder_of(letter(), Path())
    (folder / "u.png").write_bytes(b"")
    Packs(store).fetch(letter())
    assert store.reads == 2
    assert load_look(folder).version == letter().look_version


def test_a_damaged_pack_is_refused_and_not_kept(store: Counting) -> None:
    other = letter(look_sha256="0" * 64)
    with pytest.raises(LookUnreadable, match="«chaque» guardado está dañado"):
        Packs(store).fetch(other)
    assert not folder_of(other, Path()).exists()
    assert not LookUnreadable.retryable


def test_a_pack_that_is_gone_is_refused(store: Counting) -> None:
    with pytest.raises(LookUnreadable, match="ya no está guardado"):
        Packs(store).fetch(letter(look_key="looks/x/otro.zip"))


def test_only_so_many_are_kept_those_used_last(
    store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_packs, "KEPT_MOST", 2)
    Packs(store).fetch(letter())
    mine = folder_of(letter(), Path()).parent
    for name, when in (("a" * 64, 1), ("b" * 64, 2)):
        shutil.copytree(mine, mine.parent / name)
        os.utime(mine.parent / name, (when, when))
    shutil.rmtree(mine)
    Packs(store).fetch(letter())
    assert sorted(path.name for path in mine.parent.iterdir()) == sorted([mine.name, "b" * 64])
