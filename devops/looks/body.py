"""The jacket's body: a stack of superellipses whose girths are those of the size table.

Axes in centimetres: x to the viewer's right, y away from the viewer, z up. A place on the body is
(u, z): u is the length around it from the centre front, positive to the viewer's right. Pattern
space is (u, v): v is the length up the cloth from the waist.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates

from devops.looks.curves import Points, profile
from devops.looks.size_table import NAPE_Z, SizeTable

SECTION_POWER = 2.35  # superellipse exponent of the horizontal sections; 2 is an ellipse
Z_MIN, Z_MAX, Z_STEP = 8.0, 101.0, 0.25
U_MAX, U_STEP = 74.0, 0.25
STEEPEST = 2.2  # cm of cloth per cm of height; the shoulder's top would stretch it without end

# The block, before it is let out or taken in to the table's girths. Heights of the block: hem 22,
# waist 57, chest 74, nape 97; shoulders fall 24 degrees over a light pad.
BLOCK_HEIGHTS = (22.0, 57.0, 74.0, 97.0)
HALF_WIDTH = (
    (8, 20.7), (21, 20.2), (30, 19.7), (40, 18.4), (50, 17.0), (57, 16.4), (64, 17.0), (72, 18.7),
    (79, 20.2), (84, 21.0), (87.6, 21.5), (89.2, 21.5), (90.3, 20.6), (91.4, 18.3), (93, 14.1),
    (95, 10.2), (96.6, 8.0), (98, 6.9), (101, 6.3),
)  # fmt: skip
DEPTH_FRONT = (
    (8, 13.2), (21, 13.0), (32, 12.7), (45, 11.9), (57, 11.2), (66, 11.9), (74, 12.5), (80, 12.2),
    (85, 10.9), (89, 8.9), (92, 7.1), (95, 5.7), (98, 5.0), (101, 4.6),
)  # fmt: skip
DEPTH_BACK = ((8, 12), (35, 12.5), (57, 9.5), (75, 11.5), (88, 10.0), (95, 7.5), (101, 6.5))
CENTRE_Y = ((8, 0.8), (35, 0.5), (57, 0.2), (75, 0.0), (90, 1.2), (101, 2.2))
BLOCK_SHOULDER = 43.0  # across the block, from point to point


class Body:
    """The body of one size: where its surface lies, and how cloth runs on it."""

    def __init__(self, size: SizeTable) -> None:
        self.size = size
        self._z = np.arange(Z_MIN, Z_MAX + Z_STEP / 2, Z_STEP)
        self._u = np.arange(0, U_MAX + U_STEP / 2, U_STEP)
        self._x, self._y, self.girths = self._loft()
        self._v = self._lengths_up()

    def surface(self, u: Points, z: Points) -> Points:
        """Points (..., 3) of the body."""
        u, z = np.broadcast_arrays(np.asarray(u, float), np.asarray(z, float))
        return np.stack([np.sign(u) * self._at(self._x, u, z), self._at(self._y, u, z), z], -1)

    def normal(self, u: Points, z: Points, reach: float = 0.3) -> Points:
        """Outward unit normals (..., 3)."""
        along_u = self.surface(u + reach, z) - self.surface(u - reach, z)
        along_z = self.surface(u, z + reach) - self.surface(u, z - reach)
        cross = np.cross(along_u, along_z)
        lengths = np.linalg.norm(cross, axis=-1, keepdims=True)
        return np.asarray(cross / np.maximum(lengths, 1e-9))

    def v_of(self, u: Points, z: Points) -> Points:
        """Length up the cloth from the waist."""
        return self._at(self._v, u, z)

    def uv(self, places: Points) -> Points:
        """The pattern space of a piece that lies on the body as it was cut: (N, 2)."""
        return np.stack([places[:, 0], self.v_of(places[:, 0], places[:, 1])], -1)

    def widest_u(self, z: Points) -> Points:
        """u of the silhouette at each height."""
        rows = np.clip(np.rint((z - Z_MIN) / Z_STEP).astype(int), 0, len(self._z) - 1)
        return np.asarray(self._u[np.argmax(self._x[rows], axis=1)])

    def drawn(self, drawing: Points) -> Points:
        """A drawing in the front view (x, z) as places (u, z)."""
        return np.stack([self._u_of_x(drawing[:, 0], drawing[:, 1]), drawing[:, 1]], -1)

    def above(self, x: float, z: float, height: float) -> Points:
        """The point `height` above the body where the front view shows (x, z)."""
        place = self.drawn(np.array([[x, z]]))
        u, heights = place[:, 0], place[:, 1]
        return np.asarray((self.surface(u, heights) + self.normal(u, heights) * height)[0])

    def _at(self, table: Points, u: Points, z: Points) -> Points:
        at = [(np.asarray(z) - Z_MIN) / Z_STEP, np.abs(u) / U_STEP]
        return np.asarray(map_coordinates(table, at, order=1, mode="nearest"))

    def _u_of_x(self, x: Points, z: Points) -> Points:
        rows = np.clip(np.rint((z - Z_MIN) / Z_STEP).astype(int), 0, len(self._z) - 1)
        found = np.empty(len(x))
        for k, (row, wanted) in enumerate(zip(rows, x, strict=True)):
            front = self._x[row][: np.argmax(self._x[row]) + 1]
            found[k] = np.sign(wanted) * np.interp(abs(wanted), front, self._u[: len(front)])
        return found

    def _block_heights(self) -> Points:
        """The block's height for each of ours."""
        size = self.size
        ours = [Z_MIN, size.hem_z, size.waist_z, size.chest_z, NAPE_Z, Z_MAX]
        return np.asarray(np.interp(self._z, ours, [Z_MIN, *BLOCK_HEIGHTS, Z_MAX]))

    def _loft(self) -> tuple[Points, Points, Points]:
        """x and y over (z, u), and the girth at each z."""
        block = self._block_heights()
        wide = gaussian_filter1d(profile(HALF_WIDTH, block), 2)
        front = gaussian_filter1d(profile(DEPTH_FRONT, block), 3)
        back, centre = profile(DEPTH_BACK, block), profile(CENTRE_Y, block)
        grade = self._grade(wide, front, back)
        wide, front, back = wide * grade[0], front * grade[1], back * grade[1]
        table_x = np.empty((len(self._z), len(self._u)))
        table_y, girths = table_x.copy(), np.empty(len(self._z))
        for row in range(len(self._z)):
            x, y = _half_section(wide[row], front[row], back[row])
            length = np.r_[0, np.cumsum(np.hypot(np.diff(x), np.diff(y)))]
            table_x[row] = np.interp(self._u, length, x)
            table_y[row] = np.interp(self._u, length, y) + centre[row]
            girths[row] = 2 * length[-1]
        return table_x, table_y, girths

    def _grade(self, wide: Points, front: Points, back: Points) -> tuple[Points, Points]:
        """Factors for widths and depths: girths up to the chest, shoulders above, neck as it is."""
        places = [(Z_MIN, 0.0)]
        for z, girth in self.size.jacket_girths.items():
            row = round((z - Z_MIN) / Z_STEP)
            block = 2 * _length(*_half_section(wide[row], front[row], back[row]))
            places.append((z, girth / block))
        places[0] = (Z_MIN, places[1][1])
        shoulder = self.size.shoulder_width / BLOCK_SHOULDER
        neck = [(95.0, 1.0), (Z_MAX, 1.0)]
        widths = profile([*places, (87.0, shoulder), (91.5, shoulder), *neck], self._z)
        depths = profile([*places, (89.0, 1.0), *neck], self._z)
        return widths, depths

    def _lengths_up(self) -> Points:
        steps = np.diff(self._x, axis=0) ** 2 + np.diff(self._y, axis=0) ** 2
        rise = np.minimum(np.sqrt(Z_STEP**2 + steps), Z_STEP * STEEPEST)
        table = np.zeros_like(self._x)
        table[1:] = np.cumsum(rise, axis=0)
        waist = round((self.size.waist_z - Z_MIN) / Z_STEP)
        return np.asarray(gaussian_filter(table - table[waist : waist + 1], (0, 6)))


def _half_section(wide: float, front: float, back: float) -> tuple[Points, Points]:
    """x and y from the centre front around to the centre back."""
    theta = np.linspace(0, np.pi, 1600)
    sin, cos = np.sin(theta), np.cos(theta)
    power = 2 / SECTION_POWER
    y = np.where(cos > 0, -front, back) * np.abs(cos) ** power
    return wide * np.abs(sin) ** power, y


def _length(x: Points, y: Points) -> float:
    return float(np.hypot(np.diff(x), np.diff(y)).sum())
