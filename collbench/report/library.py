"""The library that draws the charts of a report: Vega-Lite, as the wheel of vl-convert-python brings it.

Vega draws SVG, so that a style sheet gives colours for light, dark and paper without drawing anew, and it interprets
its expressions, so that a page may forbid eval and all inline scripts but its own. With Vega-Lite it has 0.9 MB, is
under the BSD licence (3 clauses) and kept by the group behind Altair. plotly.js in plotly's wheel has 4.8 MB, which
leaves no room in a page of 5 MB. bokeh.min.js has 1.3 MB and draws on a canvas, which no style sheet reaches, and its
wheel brings five packages more; vl-convert-python needs none. The library enters a page when it is made, and no commit.
"""

from __future__ import annotations

from functools import cache

from collbench.errors import UsageError

EXPORTED = "window.vegaEmbed = vegaEmbed;"


@cache
def library() -> str:
    """The library as one script, which defines vegaEmbed. Raises UsageError where it is not installed."""
    try:
        from vl_convert import javascript_bundle
    except ImportError:
        raise UsageError("a report needs vl-convert-python for its charts; pip install 'collbench[report]'.") from None
    return str(javascript_bundle(EXPORTED))
