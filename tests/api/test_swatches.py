"""Uploads of swatch photos: the good come out clean and upright, others are refused in words."""

import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from PIL import Image, ImageCms, ImageColor

from models.storage import storage
from tests.conftest import run_python
from tests.orders import sql
from tests.wire import UTC_TIME, a_photo, old_error, problem

OLD, NEW = "/upload-swatch", "/api/v1/swatches"
ORIENTATION, GPS = 0x0112, 0x8825
SECRET_PLACE = b"Taller secreto de la calle Madero"


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def upload(
    client: httpx.Client, content: bytes, name: str = "tela.jpg", path: str = OLD, **form: str
) -> httpx.Response:
    return client.post(path, files={"file": (name, content, "image/png")}, data=form)


def stored(answer: httpx.Response) -> bytes:
    """The bytes that were kept of an accepted upload."""
    assert answer.status_code == 200, answer.text
    return storage().get(urlsplit(answer.json()["swatch_url"]).path.removeprefix("/files/"))


def pixels(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def near(found: object, wanted: tuple[int, ...], within: int = 3) -> bool:
    assert isinstance(found, tuple)
    return all(abs(a - b) <= within for a, b in zip(found, wanted, strict=True))


def uploads_kept() -> int:
    count = sql("SELECT count(*) FROM swatches")
    assert isinstance(count, int)
    return count


# --- what comes back ------------------------------------------------------------------------------


def test_the_old_path_answers_200_with_exactly_these_keys(client: httpx.Client) -> None:
    content = a_photo()
    answer = upload(client, content, "../../etc/x.png")
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["swatch_url", "filename", "size_bytes"]
    assert (body["filename"], body["size_bytes"]) == ("../../etc/x.png", len(content))
    assert client.get(body["swatch_url"]).headers["content-type"] == "image/jpeg"


def test_the_key_is_ours_and_holds_nothing_of_the_client_s_name(client: httpx.Client) -> None:
    urls = [upload(client, a_photo(), "../../var/tela.svg").json()["swatch_url"] for _ in range(2)]
    paths = {urlsplit(url).path for url in urls}
    assert len(paths) == 2
    for path in paths:
        assert re.fullmatch(r"/files/swatches/[A-Za-z0-9_]{32}\.jpg", path)


def test_v1_answers_201_with_exactly_these_keys(client: httpx.Client) -> None:
    answer = upload(client, a_photo(size=(90, 60)), path=NEW, width_mm="120.5")
    assert answer.status_code == 201
    body = answer.json()
    assert list(body) == ["id", "url", "width", "height", "width_mm", "expires_at"]
    UUID(body["id"])
    assert (body["width"], body["height"], body["width_mm"]) == (90, 60, 120.5)
    assert UTC_TIME.fullmatch(body["expires_at"])
    assert answer.headers["location"] == body["url"]
    assert client.get(body["url"]).status_code == 200


def test_the_width_is_optional(client: httpx.Client) -> None:
    for form in ({}, {"width_mm": ""}):
        answer = upload(client, a_photo(), path=NEW, **form)
        assert (answer.status_code, answer.json()["width_mm"]) == (201, None)


def test_an_upload_can_be_ordered_for_a_day(client: httpx.Client) -> None:
    upload(client, a_photo())
    left = sql("SELECT extract(epoch FROM expires_at - now()) / 3600 FROM swatches")
    assert 23.9 < left <= 24


# --- accepted: clean, upright, of the same colour -------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_jpeg_png_and_webp_are_kept_as_a_jpeg_of_the_same_colour(
    client: httpx.Client, kind: str
) -> None:
    image = pixels(stored(upload(client, a_photo("#3366AA", kind=kind))))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 48))
    assert near(image.getpixel((30, 20)), (0x33, 0x66, 0xAA))


def palette_photo() -> Image.Image:
    """Of one colour, red, which is number 1 of its palette."""
    image = Image.new("P", (64, 48), 1)
    image.putpalette([0, 0, 0, 200, 10, 10])
    return image


ODD_KINDS: dict[str, tuple[Callable[[], bytes], tuple[int, int, int]]] = {
    "CMYK JPEG": (
        lambda: encoded(Image.new("CMYK", (64, 48), (0, 255, 255, 0)), "JPEG", quality=95),
        (254, 0, 0),
    ),
    "grey JPEG": (lambda: encoded(Image.new("L", (64, 48), 90), "JPEG"), (90, 90, 90)),
    "grey PNG of 16 bits": (
        lambda: encoded(Image.new("I;16", (64, 48), 30_000)),
        (117, 117, 117),
    ),
    "PNG of 1 bit": (lambda: encoded(Image.new("1", (64, 48), 1)), (255, 255, 255)),
    "palette PNG": (
        lambda: encoded(Image.new("RGB", (64, 48), "#204060").quantize(4)),
        (0x20, 0x40, 0x60),
    ),
    "palette PNG with transparency": (
        lambda: encoded(palette_photo(), transparency=1),
        (255, 255, 255),
    ),
    "half transparent PNG": (
        lambda: encoded(Image.new("RGBA", (64, 48), (0, 0, 0, 128))),
        (127, 127, 127),
    ),
    "transparent WebP": (
        lambda: encoded(Image.new("RGBA", (64, 48), (9, 9, 9, 0)), "WEBP", lossless=True),
        (255, 255, 255),
    ),
}


@pytest.mark.parametrize("kind", ODD_KINDS)
def test_unusual_photos_keep_their_colour(client: httpx.Client, kind: str) -> None:
    make, wanted = ODD_KINDS[kind]
    image = pixels(stored(upload(client, make())))
    assert image.mode == "RGB"
    assert near(image.getpixel((30, 20)), wanted), image.getpixel((30, 20))


def test_a_photo_with_a_colour_profile_is_converted_to_srgb(client: httpx.Client) -> None:
    # A profile that says red where sRGB says blue: dropping it would show another cloth.
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    content = encoded(Image.new("RGB", (64, 48), (200, 30, 30)), "PNG", icc_profile=bytes(profile))
    image = pixels(stored(upload(client, content)))
    assert near(image.getpixel((30, 20)), (30, 30, 200), within=6)
    assert "icc_profile" not in image.info


def test_a_broken_colour_profile_does_not_cost_the_photo(client: httpx.Client) -> None:
    content = encoded(Image.new("RGB", (64, 48), "#336699"), "JPEG", icc_profile=b"no" * 100)
    assert near(pixels(stored(upload(client, content))).getpixel((9, 9)), (0x33, 0x66, 0x99))


CORNERS = {"red": (0, 0), "green": (1, 0), "blue": (0, 1), "white": (1, 1)}


def upright() -> Image.Image:
    """96 × 64 px, another colour in each quarter."""
    image = Image.new("RGB", (96, 64))
    for colour, (x, y) in CORNERS.items():
        image.paste(colour, (48 * x, 32 * y, 48 * x + 48, 32 * y + 32))
    return image


TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_every_exif_orientation_comes_out_upright(client: httpx.Client, kind: str) -> None:
    for orientation, turn in TURNS.items():
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        as_held = upright() if turn is None else upright().transpose(turn)
        content = encoded(as_held, kind, exif=exif.tobytes(), quality=95)
        image = pixels(stored(upload(client, content)))
        assert image.size == (96, 64), orientation
        for colour, (x, y) in CORNERS.items():
            wanted = ImageColor.getrgb(colour)
            found = image.getpixel((24 + 48 * x, 16 + 32 * y))
            assert near(found, wanted, within=12), (orientation, colour, found)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_where_the_photo_was_taken_is_gone(client: httpx.Client, kind: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(GPS)[2] = (19.0, 26.0, 0.0)
    exif[0x010E] = SECRET_PLACE.decode()
    content = encoded(upright(), kind, exif=exif.tobytes())
    assert SECRET_PLACE in content
    kept = stored(upload(client, content))
    assert SECRET_PLACE not in kept
    assert not pixels(kept).getexif()
    assert b"Exif" not in kept


def test_a_script_hidden_in_a_photo_is_not_kept(client: httpx.Client) -> None:
    script = b"<script>alert(document.domain)</script>"
    in_comment = encoded(upright(), "JPEG", comment=script)
    kept = stored(upload(client, in_comment + script))
    assert script in in_comment
    assert b"<script" not in kept


def test_large_photos_are_scaled_down_and_keep_their_shape(client: httpx.Client) -> None:
    content = encoded(Image.new("L", (6000, 1500), 77), "PNG")
    image = pixels(stored(upload(client, content)))
    assert image.size == (3000, 750)


def test_a_palette_photo_is_scaled_with_a_filter(client: httpx.Client) -> None:
    """Fine stripes, each a pixel wide, become their mean; nearest pixels would keep one of them."""
    stripes = Image.new("P", (6000, 64), 0)
    stripes.putpalette([0, 0, 0, 255, 255, 255])
    for x in range(0, 6000, 2):
        stripes.paste(1, (x, 0, x + 1, 64))
    found = pixels(stored(upload(client, encoded(stripes)))).getpixel((1500, 16))
    assert near(found, (127, 127, 127), within=12)


# --- refused, in words ----------------------------------------------------------------------------


def a_png(width: int, height: int) -> bytes:
    """A PNG that claims this size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def frames(kind: str) -> bytes:
    first, second = upright(), upright().transpose(Image.Transpose.ROTATE_180)
    return encoded(first, kind, save_all=True, append_images=[second], duration=100)


OPEN, EMPTY, PIXELS, MOVES, SMALL = "No pudimos abrir", "vacío", "40 MP", "movimiento", "angosta"
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "text": (lambda: b"hola, tela!!", OPEN),
    "nothing": (lambda: b"", EMPTY),
    "zeros": (lambda: bytes(5000), OPEN),
    "GIF": (lambda: encoded(upright(), "GIF"), OPEN),
    "BMP": (lambda: encoded(upright(), "BMP"), OPEN),
    "TIFF": (lambda: encoded(upright(), "TIFF"), OPEN),
    "SVG": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', OPEN),
    "HEIC": (lambda: b"\x00\x00\x00\x18ftypheic" + bytes(200), OPEN),
    "truncated JPEG": (lambda: encoded(Image.effect_noise((300, 300), 60), "JPEG")[:9000], OPEN),
    "truncated PNG": (lambda: encoded(Image.effect_noise((300, 300), 60), "PNG")[:9000], OPEN),
    "truncated WebP": (lambda: encoded(Image.effect_noise((300, 300), 60), "WEBP")[:9000], OPEN),
    "PNG with a false size": (lambda: a_png(500, 500), OPEN),
    "bomb of 81 MP": (lambda: a_png(9000, 9000), PIXELS),
    "bomb of 169 MP": (lambda: a_png(13000, 13000), PIXELS),
    "bomb of 900 MP": (lambda: a_png(30000, 30000), PIXELS),
    "1 × 40 M": (lambda: a_png(1, 40_000_000), SMALL),
    "40 M × 1": (lambda: a_png(40_000_000, 1), SMALL),
    "a ribbon": (lambda: a_png(20_000, 100), SMALL),
    "a dot": (lambda: a_photo(size=(31, 400)), SMALL),
    "animated PNG": (lambda: frames("PNG"), MOVES),
    "animated WebP": (lambda: frames("WEBP"), MOVES),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_used_is_refused_in_words_and_not_kept(
    client: httpx.Client, kind: str
) -> None:
    make, words = REFUSED[kind]
    content = make()
    assert words in old_error(upload(client, content, "tela.png"), 400)
    answer = upload(client, content, path=NEW)
    code = "swatch-too-small" if words == SMALL else "swatch-unreadable"
    assert problem(answer, 422) == code
    assert words in answer.json()["detail"]
    assert uploads_kept() == 0


@pytest.mark.parametrize("size_bytes", [10_000_001, 10_200_000, 25_000_000])
def test_more_than_ten_megabytes_is_400_in_words(client: httpx.Client, size_bytes: int) -> None:
    content = encoded(upright(), "JPEG").ljust(size_bytes, b"\0")
    assert "10 MB" in old_error(upload(client, content), 400)
    answer = upload(client, content, path=NEW)
    assert answer.status_code in (413, 422)
    assert problem(answer, answer.status_code)
    assert uploads_kept() == 0


def test_ten_megabytes_are_accepted(client: httpx.Client) -> None:
    content = encoded(upright(), "JPEG").ljust(10_000_000, b"\0")
    assert upload(client, content).json()["size_bytes"] == 10_000_000


@pytest.mark.parametrize("path", [OLD, NEW])
def test_a_missing_or_textual_file_field_is_422(client: httpx.Client, path: str) -> None:
    for answer in (
        client.post(path, files={"otro": ("x.png", a_photo(), "image/png")}),
        client.post(path, data={"file": "texto"}),
        client.post(path),
        client.post(path, json={"file": "x"}),
    ):
        assert answer.status_code == 422
        assert "file" in answer.text


@pytest.mark.parametrize("path", [OLD, NEW])
def test_an_impossible_width_is_422(client: httpx.Client, path: str) -> None:
    for width in ("0", "-1", "nan", "inf", "-inf", "1e9", "ancho", "1e400"):
        answer = upload(client, a_photo(), path=path, width_mm=width)
        assert answer.status_code == 422, width
        assert "width_mm" in answer.text
    assert uploads_kept() == 0


def test_uploads_above_the_limit_are_429_and_not_kept(
    client: httpx.Client, setting: Callable[..., None]
) -> None:
    setting(uploads_per_minute=1)
    answers = [upload(client, a_photo()) for _ in range(3)]
    old_error(answers[-1], 429)
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert uploads_kept() < 3


MEASURE = """
import re, sys
from api.swatches import clean_photo
photo = clean_photo(open(sys.argv[1], "rb").read())
assert (photo.width_px, photo.height_px) == (3000, 1875)
peak_kb = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
print(int(peak_kb) // 1024)  # of this program; ru_maxrss would be inherited from the test runner
"""
WEBP_OF_40_MP = bytes.fromhex(
    "5249464622000000574542505650384c150000002f3fdfe1140750e42a28041000054dc9624444ff0300"
)


def test_the_memory_that_the_largest_photo_takes_is_bounded(tmp_path: Path) -> None:
    """42 bytes of WebP are 40 MP of one colour, the costliest upload known: measured 781 MB (PNG
    473, progressive CMYK JPEG 547). One is decoded at a time."""
    path = tmp_path / "grande.webp"
    path.write_bytes(WEBP_OF_40_MP)
    used_mb = int(run_python("-c", MEASURE, str(path)).stdout)
    assert 100 < used_mb < 880
