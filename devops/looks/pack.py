"""The look pack (format version 1) from three passes: white cloth, black cloth, data.

    picture = tone(base + light × cloth(u, v))     where there is cloth, in linear light

base is the scene in black cloth; light is what white cloth adds, per unit of albedo.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from devops.looks.panels import PANEL, PANEL_NAMES
from devops.looks.style import Style

Image = NDArray[np.float32]
Ids = NDArray[np.uint8]

KEY_LIGHT = 0.98  # well-lit cloth of the fronts ends up at this light
RANGE_CM = 64.0
LIGHT_MAX = 2.0
SHOULDER = 0.8
FRONTS_AND_LAPELS = [PANEL[key] for key in ("rf", "lf", "rlap", "llap")]
NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1))
GROWN_PX = 2


def pictures(
    white: Image, black: Image, data: Image, *, albedo: float, bounce: float
) -> dict[str, NDArray[Any]]:
    """The pack's six pictures, BGR. `data` is twice the size of the others: u cm, v cm, panel.

    `albedo` is the white cloth's; `bounce` the share of its light on what is not cloth.
    """
    light = np.maximum(white - black, 0) / albedo
    ids = np.rint(data[..., 2]).astype(np.uint8)
    panels, u, v, coverage = representative(_quads(ids), _quads(data[..., 0]), _quads(data[..., 1]))
    shown = np.isin(panels, FRONTS_AND_LAPELS)
    gain = KEY_LIGHT / np.percentile(light.mean(-1)[shown], 70)  # exposure of the whole picture
    panels, u, v = grown(panels, u, v)
    cloth = panels > 0
    base = np.where(cloth[..., None], black, black + light * bounce) * gain
    shade = np.where(cloth, light.mean(-1) * gain * seam_ink(ids, cloth.shape), 0)
    root = np.sqrt(np.clip(shade / LIGHT_MAX, 0, 1))
    return {
        "base.png": np.rint(toned(base)[..., ::-1] * 255).astype(np.uint8),
        "shade.png": np.minimum(root * 256, 255).astype(np.uint8),  # cut off: readers add a half
        "u.png": encoded_cm(u, panels),
        "v.png": encoded_cm(v, panels),
        "panels.png": panels,
        "alpha.png": (coverage * 255 + 0.5).astype(np.uint8),
    }


def write_pack(
    folder: Path, style: Style, images: dict[str, NDArray[Any]], px_per_cm: float
) -> None:
    """Write pictures and look.json; the pictures' hash is the pack's version."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        _, data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        (folder / name).write_bytes(data.tobytes())
    digest = hashlib.sha256()
    for name in sorted(images):
        digest.update(name.encode() + b"\0" + (folder / name).read_bytes())
    height, width = images["panels.png"].shape
    about = described(style, digest.hexdigest()[:16], (width, height), px_per_cm)
    (folder / "look.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")


def described(
    style: Style, version: str, size_px: tuple[int, int], px_per_cm: float
) -> dict[str, Any]:
    """The contents of look.json."""
    decode_cm = f"cm = value * {2 * RANGE_CM:.0f} / 65535 - {RANGE_CM:.0f}"
    files = {
        "base.png": (8, "RGB", "picture with black cloth, sRGB", None),
        "shade.png": (
            8, "grey", "light that white cloth would send to the camera, linear, 0 to 2",
            "light = 2 * ((value + 0.5) / 256) ** 2",
        ),
        "u.png": (16, "grey", "across the grain", decode_cm),
        "v.png": (16, "grey", "along the grain, up", decode_cm),
        "panels.png": (8, "grey", "panel id, 0 = not cloth", None),
        "alpha.png": (8, "grey", "cloth coverage; masks only", None),
    }  # fmt: skip
    return {
        "format": "look-pack",
        "format_version": 1,
        "version": version,
        "style": style.name,
        "name_es": style.name_es,
        "style_name": style.description,
        "place": style.place,
        "size_px": list(size_px),
        "px_per_cm": round(px_per_cm, 2),
        "compose": "linear light: base + light * cloth(u, v), where panels > 0; else base",
        "files": {
            name: {"bits": bits, "channels": channels, "meaning": meaning}
            | ({"decode": decode} if decode else {})
            for name, (bits, channels, meaning, decode) in files.items()
        },
        "uv_range_cm": [-RANGE_CM, RANGE_CM],
        "panels": {
            str(number): {"key": key, "name": name} for number, (key, name) in PANEL_NAMES.items()
        },
    }


def representative(ids: Ids, u: Image, v: Image) -> tuple[Ids, Image, Image, Image]:
    """From four samples a pixel, (4, H, W): the panel most of them hit, and its mean place there,
    never averaged over two panels; and the share of samples that hit cloth."""
    coverage = (ids > 0).mean(0).astype(np.float32)
    votes = np.stack([(ids == ids[k]).sum(0) * (ids[k] > 0) for k in range(4)])
    panels = np.take_along_axis(ids, votes.argmax(0)[None], 0)[0]
    same = ids == panels
    hits = np.where(panels > 0, same.sum(0), 1)
    return panels, *((a * same).sum(0) * (panels > 0) / hits for a in (u, v)), coverage


def grown(panels: Ids, u: Image, v: Image) -> tuple[Ids, Image, Image]:
    """Panels extended outwards by GROWN_PX, so that anti-aliased rim pixels have data."""
    u, v = u.copy(), v.copy()
    height, width = panels.shape
    for _ in range(GROWN_PX):
        dilated = cv2.dilate(panels, np.ones((3, 3), np.uint8))
        rows, columns = np.nonzero((panels == 0) & (dilated > 0))
        result = panels.copy()
        for dy, dx in NEIGHBOURS:
            y, x = np.clip(rows + dy, 0, height - 1), np.clip(columns + dx, 0, width - 1)
            free = (panels[y, x] > 0) & (result[rows, columns] == 0)
            here, there = (rows[free], columns[free]), (y[free], x[free])
            result[here], u[here], v[here] = panels[there], u[there], v[there]
        panels = result
    return panels, u, v


def seam_ink(ids: Ids, shape: tuple[int, ...]) -> Image:
    """Factor near borders between panels: a dark line and a soft shadow, which the renderer alone
    leaves too faint, and a faint ridge beside them. `ids` at twice the size of `shape`."""
    border = np.zeros(ids.shape, np.uint8)
    for axis in (0, 1):
        other = np.roll(ids, 1, axis)
        border |= ((other != ids) & (other > 0) & (ids > 0)).astype(np.uint8)
    away = cv2.distanceTransform(1 - border, cv2.DIST_L2, 5)
    away = cv2.resize(away, shape[::-1], interpolation=cv2.INTER_AREA) / 2
    line, shadow = 0.28 * np.exp(-((away / 0.9) ** 2)), 0.09 * np.exp(-((away / 3.5) ** 2))
    return np.asarray(1 - line - shadow + 0.03 * np.exp(-(((away - 5) / 2.0) ** 2)), np.float32)


def encoded_cm(cm: Image, panels: Ids) -> NDArray[np.uint16]:
    levels = np.rint((cm + RANGE_CM) * (65535 / (2 * RANGE_CM))).clip(0, 65535)
    return np.where(panels > 0, levels, 0).astype(np.uint16)


def toned(linear: Image) -> Image:
    """Linear light to sRGB 0 to 1: exact below the shoulder, softly compressed above it."""
    x = np.maximum(linear, 0)
    room = 1 - SHOULDER
    y = np.where(x > SHOULDER, SHOULDER + room * (1 - np.exp(-(x - SHOULDER) / room)), x)
    power = 1.055 * np.maximum(y, 1e-9) ** (1 / 2.4) - 0.055
    return np.asarray(np.where(y <= 0.0031308, 12.92 * y, power), np.float32)


def _quads(image: NDArray[Any]) -> NDArray[Any]:
    return np.stack([image[i::2, j::2] for i in (0, 1) for j in (0, 1)])
