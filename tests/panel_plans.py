"""Panel plans for tests: a good one of two panels, and changes of it."""

import copy
from collections.abc import Callable
from typing import Any

SIZE_PX = (200, 300)
FRONT: dict[str, Any] = {
    "key": "front",
    "outline": [[20, 20], [120, 20], [120, 280], [20, 280]],
    "grain": [[70, 30], [70, 270]],
}
SLEEVE: dict[str, Any] = {
    "key": "rsl",
    "outline": [[120, 20], [180, 20], [180, 280], [120, 280]],
    "grain": [[150, 30], [150, 270]],
}
PLAN: dict[str, Any] = {
    "format_version": 1,
    "size_px": list(SIZE_PX),
    "scale": {"panel": "front", "length_mm": 240},  # 240 px: 10 px per cm
    "panels": [FRONT, SLEEVE],
}


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    plan = copy.deepcopy(PLAN)
    change(plan)
    return plan


def with_panel(number: int, **values: Any) -> dict[str, Any]:
    return changed(lambda plan: plan["panels"][number].update(values))
