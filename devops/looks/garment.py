"""The whole figure: jacket, trousers, what is worn below, and the bust that carries it."""

from devops.looks.fastening import front_buttons
from devops.looks.front import back, front
from devops.looks.lapel import collar, lapel
from devops.looks.neckwear import neckwear
from devops.looks.piece import Piece, grid_piece, lathe
from devops.looks.pocket import pockets
from devops.looks.shirt import shirt
from devops.looks.sleeve import sleeve
from devops.looks.style import Cut
from devops.looks.trousers import trouser_leg
from devops.looks.waistcoat import waistcoat

SIDES = (-1, 1)
NECK = ((6.2, 84), (6.0, 90), (5.85, 95), (5.75, 98), (5.6, 100.5), (5.55, 102.3))
CAP = (
    (5.5, 102.1), (5.62, 102.2), (5.65, 102.35), (5.65, 104.2), (5.58, 104.38), (5.4, 104.45),
    (0.001, 104.5),
)  # fmt: skip


def garment(cut: Cut) -> list[Piece]:
    """Every piece of a look, in a fixed order."""
    pieces: list[Piece] = []
    for side in SIDES:
        pieces += [*front(cut, side), back(cut, side), *lapel(cut, side)]
        pieces += [collar(cut, side), *sleeve(cut, side), trouser_leg(cut, side)]
    pieces += pockets(cut) + front_buttons(cut) + shirt(cut) + neckwear(cut)
    if cut.style.waistcoat:
        pieces += waistcoat(cut)
    return pieces + bust()


def bust() -> list[Piece]:
    """A linen neck and its metal cap."""
    axis = ((0, 1.2, 0), (0, 0, 1), 96)
    neck, cap = lathe(NECK, *axis), lathe(CAP, *axis)
    return [
        grid_piece("neck", neck, neck[..., :2], 0, "linen", wrap=True),
        grid_piece("cap", cap, cap[..., :2], 0, "metal", wrap=True),
    ]
