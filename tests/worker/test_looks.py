"""Look packs: those that ship are whole and say what they are; broken ones are refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import InvalidInput, LookUnavailable
from worker.looks import DEPTH, ROW, load_look, own_depth, pack_version

LOOKS = Path(__file__).parents[2] / "assets" / "looks"
NAMES = {
    "recto": "Recto",
    "cruzado": "Cruzado",
    "tres-piezas": "Tres piezas",
    "esmoquin": "Esmoquin",
}


def write_pack(folder: Path, panels: NDArray[np.uint8], u: NDArray[np.uint16]) -> Path:
    """A small valid pack of two panels; every other picture is plain."""
    folder.mkdir()
    height, width = panels.shape
    grey = np.full((height, width), 128, np.uint8)
    pictures: dict[str, NDArray[Any]] = {
        "base.png": np.full((height, width, 3), 20, np.uint8),
        "shade.png": grey,
        "u.png": u,
        "v.png": np.full((height, width), 32768, np.uint16),
        "panels.png": panels,
        "alpha.png": np.where(panels > 0, 255, 0).astype(np.uint8),
    }
    for name, picture in pictures.items():
        assert cv2.imwrite(str(folder / name), picture)
    about = {
        "format_version": 1,
        "name_es": "De prueba",
        "size_px": [width, height],
        "px_per_cm": 10.0,
        "panels": {"1": {"key": "rf"}, "2": {"key": "lf"}},
    }
    seal(folder, about)
    return folder


def seal(folder: Path, about: dict[str, Any]) -> None:
    about["version"] = pack_version(folder)
    (folder / "look.json").write_text(json.dumps(about))


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Two panels side by side; u runs 0.1 cm per pixel in both, 40 cm apart."""
    panels = np.ones((6, 10), np.uint8)
    panels[:, 5:] = 2
    cm = np.arange(10) * 0.1 + np.where(np.arange(10) < 5, -20.0, 20.0)
    u = np.tile(np.round((cm + 64) * 65535 / 128).astype(np.uint16), (6, 1))
    return write_pack(tmp_path / "prueba", panels, u)


def change(folder: Path, **values: Any) -> None:
    path = folder / "look.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_pack_carries_the_hash_of_its_own_pictures_as_version(name: str) -> None:
    about = json.loads((LOOKS / name / "look.json").read_text())
    assert about["version"] == pack_version(LOOKS / name)
    assert len(about["version"]) == 16
    assert about["name_es"] == NAMES[name]


@pytest.mark.parametrize("name", NAMES)
def test_rows_hold_every_cloth_pixel_once_and_nothing_else(name: str) -> None:
    look = load_look(LOOKS / name)
    assert (look.width_px, look.height_px) == (1024, 1536)
    assert np.array_equal(look.at, np.flatnonzero(look.panels))
    assert look.u.size >= len(look.at) > look.u.size - ROW
    stored = cv2.imread(str(LOOKS / name / "v.png"), cv2.IMREAD_UNCHANGED)
    assert stored is not None
    decoded = stored.ravel()[look.at] * (128 / 65535) - 64
    assert np.allclose(look.v.ravel()[: len(look.at)], decoded, atol=1e-4)
    assert not look.v.ravel()[len(look.at) :].any()


def test_a_look_in_memory_cannot_be_changed(pack: Path) -> None:
    look = load_look(pack)
    with pytest.raises(ValueError, match="read-only"):
        look.base[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        look.u[0, 0] = 1


def test_derivatives_are_never_taken_across_a_border_between_panels(pack: Path) -> None:
    look = load_look(pack)
    assert len(look.at) == 60
    assert np.allclose(look.u_dx.ravel()[:60], 0.1, atol=0.003)
    assert np.allclose(look.u_dy.ravel()[:60], 0, atol=0.003)


def test_two_packs_with_other_pictures_have_other_versions() -> None:
    assert pack_version(LOOKS / "recto") != pack_version(LOOKS / "cruzado")


def test_a_missing_pack_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(LookUnavailable, match="no está"):
        load_look(tmp_path / "nada")


def test_a_missing_picture_is_unavailable(pack: Path) -> None:
    (pack / "u.png").unlink()
    with pytest.raises(LookUnavailable, match=r"u\.png"):
        load_look(pack)


def test_a_picture_that_is_no_picture_is_unavailable(pack: Path) -> None:
    (pack / "shade.png").write_bytes(b"not a picture")
    with pytest.raises(LookUnavailable, match=r"shade\.png"):
        load_look(pack)


def test_pictures_other_than_those_of_the_version_are_unavailable(tmp_path: Path) -> None:
    copy = shutil.copytree(LOOKS / "recto", tmp_path / "recto")
    shutil.copy(LOOKS / "cruzado" / "shade.png", copy / "shade.png")
    with pytest.raises(LookUnavailable, match="versión"):
        load_look(copy)


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("v.png", np.zeros((6, 9), np.uint16)),
        ("u.png", np.zeros((6, 10), np.uint8)),
        ("base.png", np.zeros((6, 10), np.uint8)),
        ("shade.png", np.zeros((6, 10, 3), np.uint8)),
    ],
    ids=["wrong size", "wrong bits", "grey base", "coloured shade"],
)
def test_a_picture_of_another_shape_is_refused(
    pack: Path, name: str, picture: NDArray[Any]
) -> None:
    assert cv2.imwrite(str(pack / name), picture)
    seal(pack, json.loads((pack / "look.json").read_text()))
    with pytest.raises(InvalidInput, match=name.replace(".", r"\.")):
        load_look(pack)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format_version", 2),
        ("size_px", [10]),
        ("size_px", "10x6"),
        ("px_per_cm", 0),
        ("px_per_cm", "12"),
        ("panels", {"1": {"key": "rf"}}),
        ("panels", ["rf"]),
    ],
)
def test_a_look_json_that_breaks_the_format_is_refused(pack: Path, key: str, value: Any) -> None:
    change(pack, **{key: value})
    with pytest.raises(InvalidInput):
        load_look(pack)


def test_a_look_json_that_is_not_json_is_refused(pack: Path) -> None:
    (pack / "look.json").write_text("{")
    with pytest.raises(InvalidInput, match="JSON"):
        load_look(pack)


def test_a_pack_without_cloth_is_refused(tmp_path: Path) -> None:
    empty = write_pack(
        tmp_path / "vacío", np.zeros((6, 10), np.uint8), np.zeros((6, 10), np.uint16)
    )
    with pytest.raises(InvalidInput, match="ningún"):
        load_look(empty)


def with_depth(pack: Path, depth: NDArray[Any]) -> Path:
    (pack / DEPTH).parent.mkdir()
    assert cv2.imwrite(str(pack / DEPTH), depth)
    return pack


def test_a_pack_brings_its_depth_or_none(tmp_path: Path) -> None:
    panels = np.zeros((6, 10), np.uint8)
    panels[:, 3:6] = 1
    pack = write_pack(tmp_path / "prueba", panels, np.full((6, 10), 32768, np.uint16))
    look = load_look(pack)
    assert own_depth(pack, look) is None
    depth = np.where(panels > 0, 200, 0).astype(np.uint8)
    found = own_depth(with_depth(pack, depth), look)
    assert found is not None
    assert np.array_equal(found, depth)
    assert load_look(pack).version == look.version


@pytest.mark.parametrize(
    ("depth", "words"),
    [
        (np.eye(6, 10, dtype=np.uint16), "8 bits"),
        (np.eye(6, 9, dtype=np.uint8), "10 × 6 px"),
        (np.zeros((6, 10, 3), np.uint8), "gris"),
        (np.full((6, 10), 90, np.uint8), "cerca es blanco"),
        (np.where(np.arange(10) > 4, 40, 200).astype(np.uint8)[None].repeat(6, 0), "cerca"),
    ],
    ids=["16 bits", "another size", "colours", "one tone", "near is black"],
)
def test_a_depth_of_another_form_is_refused(
    tmp_path: Path, depth: NDArray[Any], words: str
) -> None:
    panels = np.zeros((6, 10), np.uint8)
    panels[:, 5:] = 1
    pack = write_pack(tmp_path / "prueba", panels, np.full((6, 10), 32768, np.uint16))
    with pytest.raises(InvalidInput, match=words):
        own_depth(with_depth(pack, depth), load_look(pack))


def test_a_depth_that_is_no_picture_is_refused(pack: Path) -> None:
    (pack / DEPTH).parent.mkdir()
    (pack / DEPTH).write_bytes(b"")
    with pytest.raises(InvalidInput, match="8 bits"):
        own_depth(pack, load_look(pack))
