"""A ruler or a tailor's tape beside the cloth: marks a millimetre apart, each fifth longer than the
others and each tenth the longest.

Squared, its marks are a wave of one length along its edge. Cloth has such waves and inches have,
but only marks whose own lengths count five and ten are believed: a false scale is worse than none.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

BLOCK_PX, HOP_PX = 64, 32
FASTEST, SLOWEST = 1 / 4.5, 1 / 26  # cycles per pixel of millimetres that can be counted
SHADING_PX = 12.0  # sigma: what changes more slowly is no mark
CONTRAST_MIN = 0.04  # deviation of log light where marks may be
ONE_WAVE = 0.15  # share of a block's power that its strongest wave has
FREE = 0.9  # of a block is neither cloth nor beyond the photo
BLOCKS_MIN = 4  # in a row
EDGES = 4  # rows of blocks that are looked at
BESIDE_PX = 40.0  # a row is so wide to both sides
AS_LONG = 0.07  # so much may lengths of waves in a row differ, as a share
AS_TURNED = np.cos(np.radians(6))
TURNS_DEG = np.arange(-3, 3.01, 1.0)  # of a row's direction: blocks know it about so well
FINER_TURNS_DEG = np.arange(-0.75, 0.76, 0.25)
NEAR_MM, REACH_MM = 5, 12  # marks are looked for so far from the row's middle: first, and all
MARKS_MIN = 30  # three centimetres
DARK = 0.5  # of the usual mark: less is none
LONGER = 1.12  # a fifth mark than the others, a tenth than a fifth
RIGHT_MIN = 0.85  # of all marks are as long as their number says
RIGHT_OF_CLASS = 0.7  # the same of fifths and of tenths
SHORTEST_MM = 1.0  # marks of a millimetre; much shorter ones are dots

Grey = NDArray[np.float32]
Mask = NDArray[np.uint8]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Row:
    """Where marks may stand: their middle, how far they reach, and their wave, cycles per pixel."""

    middle: Doubles
    long_px: float
    wave: Doubles


def px_per_cm_by_ruler(light: Grey, free: Mask) -> float | None:
    """By a picture as seen from straight above; `free` is 255 where there is neither cloth nor
    nothing. None where no ruler counts its millimetres clearly."""
    detail = _detail(light, free)
    found = (_read(detail, row) for row in _rows(detail, free))
    return next((px for px in found if px is not None), None)


def _detail(light: Grey, free: Mask) -> Grey:
    """Log light against its surroundings, 0 where the picture is not free."""
    cover = free.astype(np.float32) / np.float32(255)
    log = np.log(np.maximum(light, 1e-3)).astype(np.float32)
    around = _low(log * cover) / np.maximum(_low(cover), np.float32(0.05))
    return np.asarray((log - around) * cover, np.float32)


def _low(picture: Grey) -> Grey:
    """Blurred by SHADING_PX, at a quarter of the size."""
    small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), SHADING_PX / 4)
    return np.asarray(cv2.resize(small, picture.shape[::-1]), np.float32)


# --- where marks may stand -----------------------------------------------------------------------


def _rows(detail: Grey, free: Mask) -> Iterator[_Row]:
    """Rows of blocks whose waves are alike and lie along them, the longest row first."""
    places, waves = _waves(detail, free)
    for _ in range(EDGES):
        if len(places) < BLOCKS_MIN:
            return
        members = _in_row(places, waves)
        row = members[int(members.sum(axis=1).argmax())]
        if row.sum() < BLOCKS_MIN:
            return
        yield _row(places[row], waves[row])
        places, waves = places[~row], waves[~row]


def _waves(detail: Grey, free: Mask) -> tuple[Doubles, Doubles]:
    """Middles and strongest waves (n, 2) of the blocks that are mostly one wave."""
    corners = _corners(detail, free)
    if not corners:
        return np.zeros((0, 2)), np.zeros((0, 2))
    blocks = np.stack([detail[y : y + BLOCK_PX, x : x + BLOCK_PX] for x, y in corners])
    power = np.abs(np.fft.rfft2(blocks * _WINDOW)).astype(np.float32) ** 2 * _WEIGHT
    tops = power.reshape(len(power), -1).argmax(axis=1)
    rows, columns = np.unravel_index(tops, _WEIGHT.shape)
    near = [(rows + dy) % BLOCK_PX for dy in (-1, 0, 1)]
    sides = [np.clip(columns + dx, 0, BLOCK_PX // 2) for dx in (-1, 0, 1)]
    parts = np.stack([[power[range(len(power)), y, x] for x in sides] for y in near])
    clear = parts.sum(axis=(0, 1)) > ONE_WAVE * power.sum(axis=(1, 2))
    around = np.array([-1.0, 0.0, 1.0])
    whole = parts.sum(axis=(0, 1)) + 1e-12
    x = columns + (parts.sum(axis=0) * around[:, None]).sum(axis=0) / whole
    y = (rows + BLOCK_PX // 2) % BLOCK_PX - BLOCK_PX // 2
    y = y + (parts.sum(axis=1) * around[:, None]).sum(axis=0) / whole
    middles = np.array(corners, np.float64) + BLOCK_PX / 2
    return middles[clear], np.stack([x, y], axis=1)[clear] / BLOCK_PX


def _corners(detail: Grey, free: Mask) -> list[tuple[int, int]]:
    """Upper left corners (x, y) of the blocks that are free and not plain."""
    blank = cv2.boxFilter((free > 0).astype(np.float32), -1, (BLOCK_PX,) * 2, anchor=(0, 0))
    energy = cv2.boxFilter(detail * detail, -1, (BLOCK_PX,) * 2, anchor=(0, 0))
    high, wide = (max(0, side - BLOCK_PX + 1) for side in detail.shape)
    grid = np.s_[:high:HOP_PX, :wide:HOP_PX]
    good = (np.asarray(blank)[grid] > FREE) & (np.asarray(energy)[grid] > CONTRAST_MIN**2)
    y, x = np.nonzero(good)
    return list(zip((x * HOP_PX).tolist(), (y * HOP_PX).tolist(), strict=True))


def _weight() -> Grey:
    """Of each wave of a block: by its slope, so that the ruler's own edges count little."""
    f_x, f_y = np.fft.rfftfreq(BLOCK_PX), np.fft.fftfreq(BLOCK_PX)
    speed = np.hypot(f_x[None, :], f_y[:, None])
    counted = (speed > SLOWEST) & (speed < FASTEST)
    return np.asarray(speed**2 * counted, np.float32)


_WEIGHT = _weight()
_WINDOW = np.outer(np.hanning(BLOCK_PX), np.hanning(BLOCK_PX)).astype(np.float32)


def _in_row(places: Doubles, waves: Doubles) -> NDArray[np.bool_]:
    """(n, n): which blocks lie in a row with each, along its wave, and have its wave."""
    length = np.hypot(*waves.T)
    ways = waves / length[:, None]
    apart = places[None] - places[:, None]
    beside = np.abs(apart[..., 0] * -ways[:, None, 1] + apart[..., 1] * ways[:, None, 0])
    alike = np.abs(length[None] / length[:, None] - 1) < AS_LONG
    return np.asarray((beside < BESIDE_PX) & alike & (np.abs(ways @ ways.T) > AS_TURNED))


def _row(places: Doubles, waves: Doubles) -> _Row:
    """The usual length of the waves, in the direction in which the places lie."""
    middle = np.median(places, axis=0)
    way = np.linalg.svd(places - places.mean(axis=0))[2][0]
    along = (places - middle) @ way
    middle = middle + way * (along.min() + along.max()) / 2
    return _Row(middle, float(np.ptp(along)) + 2 * BLOCK_PX, way * np.median(np.hypot(*waves.T)))


# --- counting ------------------------------------------------------------------------------------


def _read(detail: Grey, row: _Row) -> float | None:
    """Pixels per centimetre, if the row's marks count."""
    if row.long_px * np.hypot(*row.wave) < MARKS_MIN:
        return None
    turn = _best_turn(detail, row, TURNS_DEG)
    turn = _best_turn(detail, row, turn + FINER_TURNS_DEG)
    strip = _strip(detail, row, turn, REACH_MM)
    period = 1 / _strongest(strip, float(np.hypot(*row.wave)))[0]
    waves = strip @ np.exp(-2j * np.pi * np.arange(strip.shape[1]) / period)
    lines = _unbroken(np.abs(waves) > DARK * np.abs(waves).max(), int(np.abs(waves).argmax()))
    brightest = -float(np.angle(waves[lines].sum())) / (2 * np.pi) * period
    for sign, at in ((-1, brightest + period / 2), (1, brightest)):  # dark marks, or light ones
        lengths = _lengths(sign * _marks(strip, at % period, period), lines)
        if len(lengths) >= MARKS_MIN and _counts(lengths / period):
            return 10 * period
    return None


def _best_turn(detail: Grey, row: _Row, turns: Doubles) -> float:
    """The direction in which whole lines of the strip are one wave."""
    speed = float(np.hypot(*row.wave))
    return float(
        max(turns, key=lambda turn: _strongest(_strip(detail, row, turn, NEAR_MM), speed)[1])
    )


def _strip(detail: Grey, row: _Row, turn_deg: float, reach_mm: float) -> Grey:
    """What lies along the row, level, so far to both sides."""
    way = float(np.degrees(np.arctan2(row.wave[1], row.wave[0]))) + turn_deg
    reach = round(reach_mm / float(np.hypot(*row.wave)))
    length = round(row.long_px)
    turn = np.asarray(cv2.getRotationMatrix2D(row.middle.tolist(), way, 1.0), np.float64)
    turn[:, 2] += np.array([length / 2, reach]) - row.middle
    size = (length, 2 * reach + 1)
    return np.asarray(cv2.warpAffine(detail, turn, size, flags=cv2.INTER_LINEAR), np.float32)


def _strongest(strip: Grey, speed: float) -> tuple[float, float]:
    """Cycles per pixel of the wave near `speed` that is strongest along the lines; its power."""
    count = cv2.getOptimalDFTSize(2 * strip.shape[1])
    power = (np.abs(np.fft.rfft(strip, count, axis=1)) ** 2).sum(axis=0)
    low, high = (round(speed * (1 + sign * AS_LONG) * count) for sign in (-1, 1))
    top = low + int(power[low : high + 1].argmax())
    before, here, after = power[top - 1 : top + 2]
    bend = min(float(before - 2 * here + after), -1e-12)
    return (top + float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))) / count, float(here)


def _unbroken(good: NDArray[np.bool_], about: int) -> slice:
    """The stretch of True about a place that is."""
    bad = np.flatnonzero(~good)
    after = int(np.searchsorted(bad, about))
    start = int(bad[after - 1]) + 1 if after else 0
    return slice(start, int(bad[after]) if after < len(bad) else len(good))


def _marks(strip: Grey, first: float, period: float) -> Doubles:
    """(lines, places): how much lighter places of one phase are than what is midway."""
    at = np.arange(first + period, strip.shape[1] - 2 * period, period)
    before, here, after = (_sampled(strip, at + share * period) for share in (-0.5, 0.0, 0.5))
    return here - (before + after) / 2


def _sampled(strip: Grey, at: Doubles) -> Doubles:
    left = at.astype(np.intp)
    part = at - left
    return np.asarray(strip[:, left] * (1 - part) + strip[:, left + 1] * part, np.float64)


def _lengths(marks: Doubles, lines: slice) -> Doubles:
    """How many lines of the strip each mark of the longest unbroken row runs through; `lines` are
    those that all of them run through."""
    usual = marks[lines].mean(axis=0)
    there = usual > DARK * max(0.0, float(np.percentile(usual, 90)))
    if not there.any():
        return np.zeros(0)
    row = max((_unbroken(there, int(n)) for n in np.flatnonzero(there)), key=_size)
    dark = cv2.blur(marks[:, row], (1, 3)) > DARK * usual[row]
    up, down = dark[: lines.start][::-1], dark[lines.stop :]
    ends = [np.cumprod(part, axis=0).sum(axis=0) for part in (up, down)]
    return np.asarray(_size(lines) + ends[0] + ends[1], np.float64)


def _size(part: slice) -> int:
    return int(part.stop - part.start)


def _counts(lengths_mm: Doubles) -> bool:
    """Whether each fifth mark is longer than the others, and each tenth longer than a fifth."""
    number = np.arange(len(lengths_mm))
    usual = np.array([np.median(lengths_mm[number % 10 == rest]) for rest in range(10)])
    tenth = int(usual.argmax())
    fifth = (tenth + 5) % 10
    others = np.delete(usual, [tenth, fifth])
    if others.min() < SHORTEST_MM or usual[fifth] < LONGER * others.max():
        return False
    if usual[tenth] < LONGER * usual[fifth]:
        return False
    bounds = [(usual[fifth] + np.median(others)) / 2, (usual[tenth] + usual[fifth]) / 2]
    wanted = np.where(number % 10 == tenth, 2, np.where(number % 10 == fifth, 1, 0))
    right = np.digitize(lengths_mm, bounds) == wanted
    classes = [right[wanted == kind].mean() for kind in (1, 2)]
    return bool(right.mean() >= RIGHT_MIN and min(classes) >= RIGHT_OF_CLASS)
