"""Panels: the numbers that panels.png stores, by key; left and right are the wearer's."""

PANEL_NAMES = {
    1: ("rf", "right front"),
    2: ("lf", "left front"),
    3: ("rside", "right side panel"),
    4: ("lside", "left side panel"),
    5: ("rsl", "right sleeve"),
    6: ("lsl", "left sleeve"),
    7: ("rlap", "right lapel"),
    8: ("llap", "left lapel"),
    9: ("rcol", "right half of the collar"),
    10: ("lcol", "left half of the collar"),
    11: ("rpk", "right hip pocket: flap and jet"),
    12: ("lpk", "left hip pocket: flap and jet"),
    13: ("welt", "breast pocket welt"),
    14: ("rleg", "right trouser leg"),
    15: ("lleg", "left trouser leg"),
    16: ("back", "back"),
    17: ("rvest", "right half of the waistcoat"),
    18: ("lvest", "left half of the waistcoat"),
}
PANEL = {key: number for number, (key, _) in PANEL_NAMES.items()}


def panel_of(part: str, side: int) -> int:
    """The panel of a part that comes in pairs; side +1 is the wearer's left, the viewer's right."""
    return PANEL[("l" if side > 0 else "r") + part]
