"""Colours and markers of the charts: those of all charts, with a lighter colour on dark ground, as CSS and as SVG."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from collbench.report.markup import Html, tag
from collbench.views import palette
from collbench.views.palette import Style

DARK_GROUND = "#14171a"  # that of the style sheet
CONTRAST = 3.5  # of a mark with its ground; WCAG 2.2, 1.4.11, asks for 3
# Outlines in a box from -1 to 1, by the names that matplotlib has for them.
OUTLINES: Mapping[str, str] = MappingProxyType({
    "o": "M-1,0A1,1,0,1,1,1,0A1,1,0,1,1,-1,0Z", "s": "M-.9,-.9H.9V.9H-.9Z", "^": "M0,-1L1,.8H-1Z",
    "v": "M0,1L1,-.8H-1Z", "<": "M-1,0L.8,-1V1Z", ">": "M1,0L-.8,-1V1Z", "D": "M0,-1.15L1.15,0L0,1.15L-1.15,0Z",
    "d": "M0,-1.15L.7,0L0,1.15L-.7,0Z", "p": "M0,-1L.95,-.31L.59,.81H-.59L-.95,-.31Z",
    "h": "M0,-1L.87,-.5V.5L0,1L-.87,.5V-.5Z", "P": "M-.35,-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z",
    "X": "M-1,-.5L-.5,-1L0,-.5L.5,-1L1,-.5L.5,0L1,.5L.5,1L0,.5L-.5,1L-1,.5L-.5,0Z",
    "_": "M-1.3,-.25H1.3V.25H-1.3Z",
    "x": "M-1,-.7L-.7,-1L0,-.3L.7,-1L1,-.7L.3,0L1,.7L.7,1L0,.3L-.7,1L-1,.7L-.3,0Z",
})  # fmt: skip


def on_dark(colour: str) -> str:
    """The colour (``#rrggbb``), as much lighter as it has to be for dark ground."""
    hue, light, strength = colorsys.rgb_to_hls(*_parts(colour))
    found = colour
    while contrast(found, DARK_GROUND) < CONTRAST:
        light += 0.02
        found = "#" + "".join(
            f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, min(light, 1.0), strength)
        )
    return found


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG 2.2 defines it, from 1 to 21."""
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in _parts(colour))
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _parts(colour: str) -> tuple[float, float, float]:
    """Red, green and blue, from 0 to 1."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def style_sheet(styles: Sequence[Style]) -> str:
    """The colours as variables ``--s0``, ``--s1``, ...: those of paper; on screens with dark ground, lighter ones."""
    light = _variables(colour for colour, _ in styles)
    dark = _variables(on_dark(colour) for colour, _ in styles)
    return f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"


def _variables(colours: Iterable[str]) -> str:
    return "".join(f"--s{place}:{colour};" for place, colour in enumerate(colours))


def key(place: int, style: Style) -> Html:
    """The marker of the style at ``place`` as a small picture beside its name."""
    outline = tag("path", d=OUTLINES[style[1]], fill=f"var(--s{place})")
    return tag("svg", outline, viewBox="-1.3 -1.3 2.6 2.6", class_="key", aria_hidden="true")


class Looks:
    """The styles of a page, each with its place in the order in which names were first asked for."""

    def __init__(self, backends: Iterable[str]) -> None:
        self._known = palette.styles(backends)
        self._places: dict[Style, int] = {}

    def backend(self, name: str) -> int:
        """The place of a backend's style."""
        return self.place(self._known[name])

    def place(self, style: Style) -> int:
        """The place of a style."""
        return self._places.setdefault(style, len(self._places))

    @property
    def styles(self) -> list[Style]:
        """All styles so far."""
        return list(self._places)
