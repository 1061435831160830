"""The command line of photo looks: python -m worker.looks from-photo --help."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import cv2

from models.errors import StylistError
from worker.photo_look.pack import PhotoLook, photo_look, read_levels, write_pack
from worker.photo_look.plan import load_plan

LIMITS: Mapping[str, str] = MappingProxyType(
    {
        "crushed-blacks": "Parte de la tela salió negra en la foto: ahí no se ven pliegues.",
        "blown-highlights": "Parte de la tela salió quemada, blanca: ahí no se ven pliegues.",
        "folds-blurred": "El dibujo de la tela fotografiada se quitó promediando: los pliegues más"
        " finos que su rapport se perdieron. Una foto del mismo traje en tela lisa dará más.",
        "pattern-remains": "El dibujo de la tela fotografiada es demasiado grande o fuerte:"
        " quedará una sombra de él bajo cualquier otra tela. Use una foto en tela lisa.",
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    try:
        look = _made(asked)
        write_pack(asked.out, look)
    except StylistError as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{asked.out}: {look.about['px_per_cm']:g} px por cm, {len(look.about['panels'])} paneles"
    )
    for code in look.about["photo"]["limits"]:
        print(f"  {LIMITS[code]} ({code})")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m worker.looks")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("from-photo", help="make a look pack of a photograph of a suit")
    verb.add_argument("photo", type=Path, help="JPEG or PNG")
    verb.add_argument("--mask", type=Path, required=True, help="PNG: white where there is cloth")
    verb.add_argument("--panels", type=Path, required=True, help="see docs/photo-look.md")
    verb.add_argument("--out", type=Path, required=True, help="a folder that is not there yet")
    verb.add_argument("--name", help="of the cut, as people read it; default: the folder's")
    return parser


def _made(asked: argparse.Namespace) -> PhotoLook:
    photo = read_levels(asked.photo, cv2.IMREAD_COLOR, "photo")
    mask = read_levels(asked.mask, cv2.IMREAD_GRAYSCALE, "mask")
    plan = load_plan(asked.panels, (photo.shape[1], photo.shape[0]))
    name = asked.out.name
    return photo_look(photo, mask, plan, name=name, name_es=asked.name or name.capitalize())
