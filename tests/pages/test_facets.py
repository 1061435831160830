"""Colours and weights as people name them."""

import pytest

from api.pages import facets
from models.catalogue import Fabric, FabricFamily


@pytest.mark.parametrize(
    ("hex_value", "colour"),
    [
        ("#141B2D", "blue"),
        ("#192444", "blue"),
        ("#541822", "wine"),
        ("#BB9D79", "beige"),
        ("#A2A3A4", "grey"),
        ("#2C2E32", "black"),
        ("#E7E6E1", "white"),
        ("#E5DFCD", "white"),
        ("#B06747", "orange"),
        ("#B5832B", "yellow"),
        ("#91702F", "yellow"),
        ("#545738", "green"),
        ("#0A5741", "green"),
        ("#17515A", "blue"),
        ("#61305C", "purple"),
        ("#693D22", "brown"),
        ("#CFB3A5", "pink"),
        ("#B0392E", "red"),
        ("#000000", "black"),
        ("#FFFFFF", "white"),
    ],
)
def test_a_colour_is_called_what_a_tailor_calls_it(hex_value: str, colour: str) -> None:
    assert facets.colour_of(hex_value) == colour


def test_the_swatch_beside_a_colours_name_is_of_that_colour() -> None:
    assert {name: facets.colour_of(value) for name, value in facets.COLOURS.items()} == {
        name: name for name in facets.COLOURS
    }


@pytest.mark.parametrize(
    ("weight", "season"),
    [(170, "summer"), (240, "summer"), (241, "all_year"), (310, "all_year"), (470, "winter")],
)
def test_the_season_follows_from_the_weight(weight: int, season: str) -> None:
    assert facets.season_of(weight) == season
    assert facets.season_of(None) == ""


def test_a_facet_that_tells_nothing_apart_is_not_offered() -> None:
    one = Fabric(hex_value="#141B2D", pattern="plain", weight_g_m2=None, tags=["lana"])
    other = Fabric(hex_value="#141B2D", pattern="check", weight_g_m2=None, tags=["lana"])
    families = [FabricFamily(fabrics=[one, other])]
    assert facets.offered(families) == {"pattern": ["plain", "check"]}


def test_of_many_tags_those_of_most_fabrics_are_offered() -> None:
    names = [f"{n:02d}" for n in range(facets.TAGS_OFFERED + 3)]
    bare = {"hex_value": "#141B2D", "pattern": None, "weight_g_m2": None}
    fabrics = [Fabric(**bare, tags=names[n:]) for n in range(len(names))]
    families = [FabricFamily(fabrics=[*fabrics, Fabric(**bare, tags=[])])]
    assert facets.offered(families) == {"tag": names[3:]}
