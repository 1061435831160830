"""Pieces of the garment: meshes that carry pattern space, lifted from flat drawings.

Neighbouring pieces never share vertices: each lies a few millimetres above the one below and turns
its edge down, so that seams and edges cast real contact shadows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
import shapely.geometry as sg
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import Delaunay

from devops.looks.body import Body
from devops.looks.curves import Points

RINGS = (0.06, 0.13, 0.22, 0.34, 0.45, 0.56)  # cm from the edge: extra vertices for its turn
Relief = Callable[[Points], Points]  # places (N, 2) → cm
Faces = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Piece:
    """verts (N, 3) cm, faces (M, 3 or 4), uv (N, 2) cm; panel 0 is not cloth."""

    name: str
    verts: Points
    faces: Faces
    uv: Points
    panel: int
    material: str = "cloth"


def rounded_edge(distance: Points, radius: float) -> Points:
    """0 at the edge to 1 at `radius`, a quarter circle: a pressed edge."""
    share = np.clip(1 - distance / radius, 0, 1)
    return np.asarray(np.sqrt(np.maximum(1 - share * share, 0)))


def shell(
    body: Body,
    name: str,
    outline: Points,
    panel: int,
    height: Relief,
    *,
    thickness: float,
    uv: Relief | None = None,
    material: str = "cloth",
    mesh: float = 0.25,
    edge: float = 0.22,
) -> Piece:
    """A piece `height` above the body within an outline of places, its edge turned down."""
    places, faces, inside = triangulated(outline, mesh)
    lift = height(places) - thickness * (1 - rounded_edge(inside, edge))
    u, z = places[:, 0], places[:, 1]
    verts = body.surface(u, z) + body.normal(u, z) * lift[:, None]
    return Piece(name, verts, faces, (uv or body.uv)(places), panel, material)


def triangulated(outline: Points, mesh: float) -> tuple[Points, Faces, Points]:
    """Points, counter-clockwise triangles and each point's distance from the outline."""
    shape = largest(sg.Polygon(outline).buffer(0))
    parts = [_along(shape.exterior, 0.14)]
    for ring in RINGS:
        inset = shape.buffer(-ring, join_style=2)
        parts += [_along(p.exterior, 0.14 if ring < 0.3 else 0.18) for p in _polygons(inset)]
    inside = shape.buffer(-(RINGS[-1] + 0.7 * mesh))
    if not inside.is_empty:
        parts.append(_hexagons(inside, mesh))
    points = np.concatenate(parts)
    points += np.random.default_rng(7).standard_normal(points.shape) * 1e-5
    faces = _counter_clockwise(points, Delaunay(points).simplices, shape)
    return points, faces, np.asarray(shapely.distance(shapely.points(points), shape.exterior))


def largest(shape: sg.base.BaseGeometry) -> sg.Polygon:
    return max(_polygons(shape), key=lambda polygon: polygon.area)


def grid_piece(
    name: str,
    points: Points,
    uv: Points,
    panel: int = 0,
    material: str = "cloth",
    *,
    wrap: bool = False,
    flip: bool = False,
) -> Piece:
    """A piece from points (n, m, 3) and uv (n, m, 2); wrap: columns close to a tube."""
    index = np.arange(points.shape[0] * points.shape[1]).reshape(points.shape[:2])
    if wrap:
        index = np.c_[index, index[:, 0]]
    corners = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.stack(corners, -1).reshape(-1, 4)
    faces = faces[:, ::-1] if flip else faces
    return Piece(name, points.reshape(-1, 3), faces, uv.reshape(-1, 2), panel, material)


def front_normals(points: Points) -> Points:
    """Unit normals of a grid, on the side that faces the viewer for most of its first rows."""
    normals = _crossed(np.gradient(points, axis=1), np.gradient(points, axis=0))
    return -normals if normals[: len(points) // 4 + 1, :, 1].sum() > 0 else normals


def outward_normals(points: Points) -> Points:
    """Unit normals of a tube whose columns close, away from its middle."""
    around = np.roll(points, -1, 1) - np.roll(points, 1, 1)
    normals = _crossed(around, np.gradient(points, axis=0))
    away = points - points.mean(axis=1, keepdims=True)
    return -normals if (normals * away).sum() < 0 else normals


def _crossed(across: Points, down: Points) -> Points:
    normals = np.cross(across, down)
    lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.asarray(normals / np.maximum(lengths, 1e-9))


def lathe(
    rows: Sequence[Sequence[float]], centre: ArrayLike, axis: ArrayLike, count: int = 48
) -> Points:
    """Surface of revolution: rows (radius, height along the axis) to points (rows, count, 3)."""
    up = np.asarray(axis, float) / np.linalg.norm(axis)
    other = np.array([0, 0, 1.0]) if abs(up[2]) < 0.9 else np.array([1.0, 0, 0])
    first = np.cross(other, up)
    first /= np.linalg.norm(first)
    second = np.cross(up, first)
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)[None, :, None]
    table = np.array(rows, float)
    ring = table[:, None, :1] * (np.cos(angle) * first + np.sin(angle) * second)
    return np.asarray(np.asarray(centre, float) + table[:, None, 1:2] * up + ring)


def tube(path: Points, normals: Points, radius: float, *, closed: bool) -> Points:
    """A round thread along a path: points (n, 10, 3)."""
    along = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.cross(along, normals)
    angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)[None, :, None]
    ring = np.cos(angle) * side[:, None] + np.sin(angle) * normals[:, None]
    points = path[:, None] + radius * ring
    return np.concatenate([points, points[:1]]) if closed else points


def _polygons(shape: sg.base.BaseGeometry) -> list[sg.Polygon]:
    parts = getattr(shape, "geoms", [shape])
    return [part for part in parts if isinstance(part, sg.Polygon) and not part.is_empty]


def _along(line: sg.LineString, step: float) -> Points:
    count = max(8, int(line.length / step))
    at = np.linspace(0, line.length, count, endpoint=False)
    return np.asarray(shapely.get_coordinates(shapely.line_interpolate_point(line, at)))


def _hexagons(polygon: sg.Polygon, step: float) -> Points:
    left, low, right, high = polygon.bounds
    x, z = np.meshgrid(np.arange(left, right, step), np.arange(low, high, step * 0.87))
    x = x + (np.arange(len(x)) % 2)[:, None] * step / 2
    shapely.prepare(polygon)
    inside = shapely.contains_xy(polygon, x.ravel(), z.ravel())
    return np.asarray(np.stack([x.ravel(), z.ravel()], -1)[inside])


def _counter_clockwise(points: Points, faces: Faces, shape: sg.Polygon) -> Faces:
    """The triangles inside the shape, slivers left out, all turned the same way."""
    centre = points[faces].mean(1)
    hull = shape.buffer(1e-3)
    shapely.prepare(hull)
    faces = faces[shapely.contains_xy(hull, centre[:, 0], centre[:, 1])]
    a, b, c = (points[faces[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    faces[area < 0] = faces[area < 0][:, ::-1]
    return np.asarray(faces[np.abs(area) > 1e-6])
