"""Tints: the colours that a cloth shows, by k-means in OKLab over a sample of its pixels.

OKLab: Björn Ottosson, A perceptual color space for image processing, 2020. Seeds are drawn by
k-means++ (Arthur, Vassilvitskii, SODA 2007) from a generator of a fixed seed: the same cloth gives
the same tints.
"""

import numpy as np
from numpy.typing import NDArray

from worker.colour import encoded

SAMPLES = 4096
CLUSTERS = 8  # more than there are colours: those that are one colour are put together after
ROUNDS = 30  # of Lloyd's algorithm, at most
SAME = 0.07  # OKLab distance within which clusters are one colour in light and shade
MIXED = 0.035  # OKLab distance from a mixture of two others
ALIKE = 0.05  # OKLab distance of pixels that are of one colour, seldom of its borders
USUAL = 512  # of a group's pixels are looked at
SHARE_MIN = 0.012  # of a tint that is told
TINTS_MOST = 5
SEED = 20

Light = NDArray[np.float32]  # (height, width, 3): linear light, BGR
Doubles = NDArray[np.float64]

_LMS_OF_BGR = np.array(
    [
        [0.0514459929, 0.5363325363, 0.4122214708],
        [0.1073969566, 0.6806995451, 0.2119034982],
        [0.6299787005, 0.2817188376, 0.0883024619],
    ]
)
_OKLAB_OF_ROOTS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def tints_of(light: Light) -> list[tuple[str, float]]:
    """(`#RRGGBB`, share) of the colours, the one that covers most first; shares add up to 1."""
    random = np.random.default_rng(SEED)
    pixels = light.reshape(-1, 3)
    sample = pixels[random.integers(0, len(pixels), SAMPLES)].astype(np.float64)
    places = oklab_of_linear(sample)
    middles, nearest = _clusters(places, random)
    nearest = _merged(middles, np.bincount(nearest, minlength=len(middles)))[nearest]
    nearest = _unmixed(sample, nearest)
    shares = np.bincount(nearest, minlength=CLUSTERS) / SAMPLES
    told = [group for group in np.argsort(-shares, kind="stable") if shares[group] >= SHARE_MIN]
    told = told[:TINTS_MOST]
    whole = float(shares[told].sum())
    return [(_hex(_usual(sample[nearest == group])), shares[group] / whole) for group in told]


def oklab_of_linear(bgr: Doubles) -> Doubles:
    """(..., 3) linear sRGB light, BGR, to OKLab."""
    return np.asarray(np.cbrt(bgr @ _LMS_OF_BGR.T) @ _OKLAB_OF_ROOTS.T)


def _clusters(places: Doubles, random: np.random.Generator) -> tuple[Doubles, NDArray[np.intp]]:
    """Middles (at most CLUSTERS of them) and the nearest of each place."""
    middles = _seeds(places, random)
    nearest = _nearest(places, middles)
    for _ in range(ROUNDS):
        counts = np.bincount(nearest, minlength=len(middles))
        sums = [np.bincount(nearest, axis, len(middles)) for axis in places.T]
        middles = np.where(
            counts[:, None], np.stack(sums, 1) / np.maximum(counts, 1)[:, None], middles
        )
        before, nearest = nearest, _nearest(places, middles)
        if np.array_equal(before, nearest):
            break
    return middles, nearest


def _seeds(places: Doubles, random: np.random.Generator) -> Doubles:
    """k-means++: each next one with a chance by the square of its distance to those before."""
    seeds = [places[random.integers(len(places))]]
    for _ in range(CLUSTERS - 1):
        apart = np.min([((places - seed) ** 2).sum(axis=1) for seed in seeds], axis=0)
        if apart.sum() < 1e-12:
            break
        seeds.append(places[random.choice(len(places), p=apart / apart.sum())])
    return np.stack(seeds)


def _nearest(places: Doubles, middles: Doubles) -> NDArray[np.intp]:
    return np.asarray(_apart_squared(places, middles).argmin(axis=1))


def _apart_squared(places: Doubles, others: Doubles) -> Doubles:
    """(places, others): squared distances, by the matrix product that is quickest."""
    own = (places**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    return np.asarray(own - 2 * places @ others.T)


def _merged(middles: Doubles, counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """The group of each cluster: the two nearest are put together while they are one colour."""
    groups = np.arange(len(middles))
    middles, weights = middles.copy(), counts.astype(np.float64)
    alive = [int(k) for k in np.flatnonzero(counts)]
    while len(alive) > 1:
        pairs = [(a, b) for place, a in enumerate(alive) for b in alive[place + 1 :]]
        apart, a, b = min((float(np.linalg.norm(middles[a] - middles[b])), a, b) for a, b in pairs)
        if apart > SAME:
            break
        middles[a] = np.average(middles[[a, b]], axis=0, weights=weights[[a, b]])
        weights[a] += weights[b]
        groups[groups == b] = a
        alive.remove(b)
    return groups


def _unmixed(sample: Doubles, nearest: NDArray[np.intp]) -> NDArray[np.intp]:
    """Pixels on the border of two colours show a mixture of both, which is no colour of the cloth:
    each goes to the nearer of the two. The smallest groups are looked at first."""
    nearest = nearest.copy()
    groups = [int(group) for group in np.argsort(np.bincount(nearest), kind="stable")]
    light = {g: sample[nearest == g].mean(axis=0) for g in groups if (nearest == g).any()}
    for group in list(light)[:-1]:
        others = [other for other in light if other != group]
        pairs = [(a, b) for place, a in enumerate(others) for b in others[place + 1 :]]
        if any(_is_mixture(light[group], light[a], light[b]) for a, b in pairs):
            del light[group]
    ends = np.stack([oklab_of_linear(tint) for tint in light.values()])
    return np.array(list(light))[_nearest(oklab_of_linear(sample), ends)]


def _is_mixture(tint: Doubles, one: Doubles, other: Doubles) -> bool:
    """Between the two, and about as near to a mixture of their light as one colour is to itself."""
    parts = np.linspace(0.1, 0.9, 17)[:, None]
    apart = oklab_of_linear(parts * one + (1 - parts) * other) - oklab_of_linear(tint)
    return bool(np.linalg.norm(apart, axis=1).min() < MIXED)


def _usual(sample: Doubles) -> Doubles:
    """The light that most of the sample is like: its mean would lean to the borders."""
    places = oklab_of_linear(sample)
    near = _apart_squared(places, places[:USUAL]) < ALIKE**2
    return np.asarray(sample[near[:, near.sum(axis=0).argmax()]].mean(axis=0))


def _hex(linear: Doubles) -> str:
    levels = (np.clip(encoded(linear), 0, 1) * 255 + 0.5).astype(np.uint8)
    return "#" + levels[::-1].tobytes().hex().upper()
