"""Colours and markers: those of other charts, seen on both grounds."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import collbench.report.looks as module
from collbench.report.looks import CONTRAST, DARK_GROUND, OUTLINES, Looks, contrast, on_dark, style_sheet
from collbench.views.changes import LOOKS
from collbench.views.palette import GREY, KNOWN, MARKERS, OTHERS

COLOURS = sorted({colour for colour, _ in KNOWN.values()} | {*OTHERS, GREY})


@pytest.mark.parametrize("colour", COLOURS)
def test_every_colour_is_seen_on_dark_ground_and_kept_where_it_is(colour: str) -> None:
    assert contrast(on_dark(colour), DARK_GROUND) >= CONTRAST
    assert (on_dark(colour) == colour) == (contrast(colour, DARK_GROUND) >= CONTRAST)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_the_dark_ground_is_that_of_the_style_sheet() -> None:
    sheet = (Path(module.__file__).parent / "assets" / "style.css").read_text(encoding="utf-8")
    assert f"--ground: {DARK_GROUND}" in sheet


def test_known_colours_stay_distinct_on_dark_ground() -> None:
    found = [on_dark(colour) for colour, _ in KNOWN.values()]
    assert all(one != other for one, other in itertools.combinations(found, 2))


def test_every_marker_in_use_has_an_outline() -> None:
    markers = {marker for _, marker in (*KNOWN.values(), *LOOKS.values())} | set(MARKERS)
    assert markers <= OUTLINES.keys()


def test_a_style_has_one_place_whoever_asks() -> None:
    looks = Looks(["nccl", "mine"])
    assert (looks.backend("nccl"), looks.place(("#111111", "o")), looks.backend("nccl")) == (0, 1, 0)
    assert looks.styles[0] == KNOWN["nccl"]
    assert style_sheet(looks.styles).startswith(":root{--s0:#0072B2;--s1:#111111;}@media screen and")
