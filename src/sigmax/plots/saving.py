"""Pictures as files."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from typing import Any

import altair as alt

from sigmax.errors import InputError
from sigmax.writing import write_whole

__all__ = ["MOST_PIXELS", "check_ending", "save"]

_NOTHING: dict[str, Any] = {"$schema": alt.SCHEMA_URL, "data": {"values": []}, "mark": "point"}
MOST_PIXELS = 20  # of a PNG for one of the picture


def save(chart: Any, path: str | Path, *, scale: float = 2.0) -> None:
    """
    Write a chart to a file; the ending names the format.

    Parameters
    ----------
    chart : altair.Chart
        What to write.
    path : str or Path
        A file that ends in .png, .svg, .pdf or .html. A page of HTML carries all it needs and opens without network.
    scale : float, default 2
        Pixels of a PNG for each pixel of the chart.

    Raises
    ------
    ValueError
        If the ending names none of the formats.
    """
    import vl_convert

    path = Path(path)
    kind = check_ending(path)
    if not 0 < scale <= MOST_PIXELS:
        raise InputError(f"the scale is {scale:g}; it must be above 0 and at most {MOST_PIXELS}")
    spec = chart.to_dict()
    if kind == ".png":
        content = vl_convert.vegalite_to_png(spec, scale=scale)
    elif kind == ".svg":
        content = vl_convert.vegalite_to_svg(spec).encode()
    elif kind == ".pdf":
        content = vl_convert.vegalite_to_pdf(spec)
    else:
        content = _page(spec, vl_convert.vegalite_to_html(_NOTHING, bundle=True)).encode()
    write_whole(path, content)


def check_ending(path: Path) -> str:
    """Return the ending of a picture's file; a ValueError if there is no such format."""
    known = (".png", ".svg", ".pdf", ".html")
    if path.suffix.lower() not in known:
        raise InputError(f"{path}: unknown ending '{path.suffix}'; use one of {', '.join(known)}")
    return path.suffix.lower()


def _page(spec: dict[str, Any], html: str) -> str:
    """
    Put a chart into a page made for nothing, with a title and the ground of the chart.

    The specification holds what its readers wrote, such as names of classes: in a script no `<` may stand, which could end it.
    """
    found = re.findall(r"spec = \{.*\};", html)
    if len(found) != 1:
        raise RuntimeError(
            "vl-convert writes another page than it did; its script has no specification to put the chart in"
        )
    script = "spec = " + json.dumps(spec).replace("<", "\\u003c") + ";"
    title = spec.get("title", "sigmax")
    title = title if isinstance(title, str) else title.get("text", "sigmax")
    ground = spec["config"]["background"]
    style = f"<title>{escape(title)}</title><style>body{{background:{ground};margin:2rem}}</style>"
    html = html.replace("<head>", f'<head><meta name="viewport" content="width=device-width">{style}', 1)
    return html.replace(found[0], script)
