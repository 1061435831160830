"""Files of looks that are uploaded: good packs and photos are taken, bad ones are told why."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from api import look_files
from api.language import told
from api.look_files import DEPTH, pack_in, photo_in
from models.errors import InvalidInput
from models.packs import bundled, unbundled, version_of
from tests.looks import CUT, about_of, sealed, small_pack, zipped
from tests.panel_plans import PLAN, with_panel
from tests.wire import a_photo

OF_THE_PHOTO = {"size_px": [225, 300]}  # as the marks have it, of 96 × 128 px
PANELS = json.dumps(PLAN | OF_THE_PHOTO).encode()


def a_mask(size: tuple[int, int] = (96, 128), colour: int = 0, bits: int = 8) -> bytes:
    """A PNG that is all header: nobody here looks at its pixels."""
    ihdr = struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0)
    chunks = map(chunk, (b"IHDR", b"IDAT", b"IEND"), (ihdr, b"", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def said(about: dict[str, Any]) -> bytes:
    """The small pack with another look.json."""
    return zipped(sealed(small_pack(), about_of(small_pack()) | about))


def without(name: str) -> dict[str, bytes]:
    return {n: content for n, content in small_pack().items() if n != name}


def with_picture(name: str, content: bytes) -> bytes:
    return zipped(sealed({**small_pack(), name: content}, about_of(small_pack())))


def twice() -> bytes:
    out = io.BytesIO(zipped(small_pack()))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(out, "a") as archive:
        archive.writestr("u.png", b"")
    return out.getvalue()


@pytest.mark.parametrize("folder", ["", "chaque/"])
def test_a_finished_pack_is_taken_with_or_without_its_folder(folder: str) -> None:
    found = pack_in(zipped(small_pack(), folder))
    assert (found.kind, found.cut, found.name) == ("pack", CUT, "Chaqué")
    assert found.files == small_pack()


def test_what_computers_leave_in_a_zip_and_maps_are_no_part_of_it() -> None:
    litter = {"__MACOSX/._u.png": b"", ".DS_Store": b"", "maps/edges.png": b"", "maps/x": b""}
    assert pack_in(zipped({**small_pack(), **litter})).files == small_pack()


@pytest.mark.parametrize("folder", ["", "chaque/"])
def test_a_pack_keeps_the_depth_that_it_brings_and_its_version(folder: str) -> None:
    files = {**small_pack(), DEPTH: small_pack()["alpha.png"], "maps/edges.png": b""}
    found = pack_in(zipped(files, folder)).files
    assert found == {**small_pack(), DEPTH: small_pack()["alpha.png"]}
    assert version_of(found) == version_of(small_pack())


def test_the_same_files_are_always_the_same_bundle() -> None:
    backwards = dict(reversed(list(small_pack().items())))
    assert bundled(backwards) == bundled(small_pack())
    assert unbundled(bundled(backwards)) == small_pack()


def half_a_version() -> bytes:
    about = about_of(small_pack()) | {"version": "\ud800"}
    return zipped({**small_pack(), "look.json": json.dumps(about).encode()})


BAD_PACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "No pudimos abrir el archivo ZIP."),
    "no zip": (lambda: b"hola" * 100, "No pudimos abrir el archivo ZIP."),
    "cut off": (lambda: zipped(small_pack())[:-40], "No pudimos abrir"),
    "a bomb": (lambda: zipped({"u.png": bytes(41_000_000)}), "pesa demasiado"),
    "bombs": (lambda: zipped({"u.png": bytes(20_500_000), "v.png": bytes(20_500_000)}), "pesa"),
    "many files": (lambda: zipped({f"{n}.png": b"" for n in range(40)}), "demasiados archivos"),
    "a way out": (lambda: zipped({"../../etc/u.png": b""}), "una ruta que no se acepta"),
    "an absolute path": (lambda: zipped({"/etc/u.png": b""}), "una ruta que no se acepta"),
    "a way out inside": (lambda: zipped({"a/../u.png": b""}), "una ruta que no se acepta"),
    "backslashes": (lambda: zipped({"..\\u.png": b""}), "una ruta que no se acepta"),
    "a script": (lambda: zipped({**small_pack(), "x.sh": b""}), "no es parte de un look"),
    "two folders": (
        lambda: zipped({f"{'ab'[n % 2]}/{x}": c for n, (x, c) in enumerate(small_pack().items())}),
        "no es parte de un look",
    ),
    "twice": (twice, "«u.png» dos veces"),
    "no alpha": (lambda: zipped(without("alpha.png")), "Al look le falta alpha.png."),
    "no look.json": (lambda: zipped(without("look.json")), "le falta look.json"),
    "no JSON": (lambda: zipped({**small_pack(), "look.json": b"{"}), "no es un objeto JSON"),
    "a list": (lambda: zipped({**small_pack(), "look.json": b"[]"}), "no es un objeto JSON"),
    "deep JSON": (
        lambda: zipped({**small_pack(), "look.json": b"[" * 100_000}),
        "no es un objeto JSON",
    ),
    "another format": (lambda: said({"format_version": 2}), "no es de formato 1"),
    "no scale": (
        lambda: zipped({**small_pack(), "look.json": b'{"format_version": 1}'}),
        "A look.json le falta",
    ),
    "scale in words": (lambda: said({"px_per_cm": "doce"}), "no es un número"),
    "no scale at all": (lambda: said({"px_per_cm": float("nan")}), "px_per_cm va de"),
    "size in words": (lambda: said({"size_px": "grande"}), "size_px debe ser"),
    "too small": (lambda: said({"size_px": [10, 10]}), "size_px debe ser"),
    "too large": (lambda: said({"size_px": [9000, 9000]}), "el máximo son 8 megapíxeles"),
    "another size": (lambda: said({"size_px": [256, 380]}), "look.json dice 256 × 380"),
    "another version": (
        lambda: zipped({**small_pack(), "v.png": small_pack()["u.png"]}),
        "sus imágenes son",
    ),
    "no PNG": (lambda: with_picture("u.png", b"GIF89a"), "u.png no es un PNG"),
    "half a PNG": (
        lambda: with_picture("u.png", small_pack()["u.png"][:-30]),
        "u.png no es un PNG, o está dañado.",
    ),
    "a changed PNG": (
        lambda: with_picture("u.png", small_pack()["u.png"].replace(b"IDAT", b"IDAU", 1)),
        "está dañado",
    ),
    "8 bits": (
        lambda: with_picture("u.png", small_pack()["shade.png"]),
        "u.png debe ser un PNG gris de 16 bits",
    ),
    "deep depth": (
        lambda: zipped({**small_pack(), DEPTH: small_pack()["u.png"]}),
        "maps/depth.png debe ser un PNG gris de 8 bits",
    ),
    "small depth": (lambda: zipped({**small_pack(), DEPTH: a_mask()}), "maps/depth.png mide 96"),
    "depth elsewhere": (
        lambda: zipped({"a/b/maps/depth.png": b""}),
        "una ruta que no se acepta",
    ),
    "depth of another": (
        lambda: zipped({**small_pack(), "a/maps/depth.png": b""}),
        "no es parte de un look",
    ),
    "grey": (lambda: with_picture("base.png", small_pack()["shade.png"]), "un PNG RGB de 8 bits"),
    "a bad key": (lambda: said({"style": "../Chaqué"}), "no sirve de clave"),
    "a long key": (lambda: said({"style": "x" * 5000}), "no sirve de clave"),
    "no name": (lambda: said({"name_es": " "}), "El nombre del corte"),
    "an odd name": (lambda: said({"name_es": "a\x00b"}), "El nombre del corte"),
    "half a letter in the key": (lambda: said({"style": "\ud800"}), "no sirve de clave"),
    "half a letter in the version": (half_a_version, "sus imágenes son"),
    "half a letter": (lambda: said({"name_es": "\ud800"}), "El nombre del corte"),
}


@pytest.mark.parametrize("kind", BAD_PACKS)
def test_a_bad_pack_is_refused_in_words(kind: str) -> None:
    make, words = BAD_PACKS[kind]
    content = make()
    with pytest.raises(InvalidInput) as caught:
        pack_in(content)
    message = str(caught.value)
    assert words in message
    assert len(message) < 300
    assert message.encode()
    assert told.english(message) not in (None, message)


def test_the_shape_of_a_pack_is_the_one_that_workers_read() -> None:
    from worker import looks
    from worker.looks import OPTIONAL, PICTURES

    assert list(look_files.PICTURES) == list(PICTURES)
    assert {OPTIONAL} == look_files.OPTIONAL
    for name, (bits, colour) in look_files.PICTURES.items():
        kind, channels = PICTURES[name]
        assert (bits, 3 if colour else 1) == (8 * kind().itemsize, channels), name
    assert DEPTH == looks.DEPTH


# --- photos ---------------------------------------------------------------------------------------


def test_a_photo_is_taken_with_its_mask_and_panels() -> None:
    photo = a_photo(size=(96, 128), kind="JPEG")
    found = photo_in(photo, a_mask(), PANELS, "  Chaqué de día ")
    assert (found.kind, found.cut, found.name) == ("photo", "chaque-de-dia", "Chaqué de día")
    assert found.files == {"photo": photo, "mask.png": a_mask(), "panels.json": PANELS}


def test_a_photo_held_upright_is_measured_upright() -> None:
    from PIL import Image

    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # turn it by 90 degrees
    Image.new("RGB", (128, 96)).save(out, "JPEG", exif=exif)
    assert photo_in(out.getvalue(), a_mask((96, 128)), PANELS, "x").cut == "x"


PHOTO: Any = {"photo": a_photo(size=(96, 128)), "mask": a_mask(), "panels": PANELS, "name": "Frac"}
BAD_PHOTOS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no photo": ({"photo": b""}, "photo", "La foto no es un JPEG o PNG"),
    "a page": ({"photo": b"<svg/>"}, "photo", "La foto no es un JPEG o PNG"),
    "WebP": ({"photo": a_photo(size=(96, 128), kind="WEBP")}, "photo", "no es un JPEG o PNG"),
    "a vast photo": ({"photo": a_mask((9000, 9000))}, "photo", "el máximo son 8 megapíxeles"),
    "a bomb": ({"photo": a_mask((60_000, 60_000))}, "photo", "La"),
    "a stamp": ({"photo": a_photo(size=(20, 128))}, "photo", "menos de 64 px"),
    "no mask": ({"mask": b""}, "mask", "mask.png no es un PNG"),
    "a JPEG mask": ({"mask": a_photo(kind="JPEG")}, "mask", "mask.png no es un PNG"),
    "another size": (
        {"mask": a_mask((128, 96))},
        "mask",
        "La máscara mide 128 × 96 px y la foto 96 × 128: deben medir lo mismo.",
    ),
    "no panels": ({"panels": b""}, "panels", "panels.json no es un objeto JSON"),
    "broken panels": ({"panels": b'{"a":'}, "panels", "panels.json no es un objeto JSON"),
    "a list": ({"panels": b"[]"}, "panels", "panels.json no es un objeto JSON"),
    "vast panels": (
        {"panels": json.dumps({"x": "y" * 2_000_000}).encode()},
        "panels",
        "panels.json no es un objeto JSON",
    ),
    "panels of nothing": ({"panels": b'{"format_version": 1}'}, "panels", "falta panels, scale"),
    "panels of another photo": ({"panels": json.dumps(PLAN).encode()}, "panels", "proporción"),
    "a panel that is not there": (
        {"panels": json.dumps(with_panel(1, grain="back") | OF_THE_PHOTO).encode()},
        "panels",
        "panels.json: panel «rsl», grain: remite a «back»",
    ),
    "no name": ({"name": ""}, "name", "El nombre del corte"),
    "a long name": ({"name": "x" * 61}, "name", "El nombre del corte"),
    "signs only": ({"name": "¡¿"}, "name", "no sirve de clave"),
}


@pytest.mark.parametrize("kind", BAD_PHOTOS)
def test_a_bad_photo_is_refused_in_words_and_by_its_field(kind: str) -> None:
    change, field, words = BAD_PHOTOS[kind]
    with pytest.raises(InvalidInput) as caught:
        photo_in(**(PHOTO | change))
    message = str(caught.value)
    assert words in message
    assert caught.value.field == field
    assert told.english(message) not in (None, message)
