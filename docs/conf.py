"""How the documentation is built: ``python -m sphinx -W -b html docs docs/_build/html``, and ``-b doctest`` for its examples."""

import inspect
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import diagrams
import latex2mathml.converter
import numpy as np
from docutils import nodes

import sigmax
from sigmax import plots

HERE = Path(__file__).parent
# The commands in the pages are those of the environment that builds them.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ |= {"COLUMNS": "92", "NO_COLOR": "1"}

project = "sigmax"
author = "The sigmax developers"
copyright = "2026, The sigmax developers"  # noqa: A001
version = release = sigmax.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.intersphinx",
    "sphinxcontrib.programoutput",
]
exclude_patterns = ["_build", "_figures"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
autosummary_generate = True
numpydoc_show_class_members = False
intersphinx_mapping = {}  # nothing is fetched while building
programoutput_prompt_template = "$ {command}\n{output}"
nitpicky = False
html_theme = "pydata_sphinx_theme"
html_title = "sigmax"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_math_renderer = "mathml"
html_sidebars = {page: [] for page in ("index", "introduction", "contract", "accuracy", "speed")}
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}

ANIMALS = ["cat", "dog", "fox"]
FIGURES = {
    "network": diagrams.network,
    "outputs": diagrams.outputs,
    "sigmoid": lambda: plots.sigmoid_curve(-0.98),
    "odds": plots.odds_and_log_odds,
    "softmax": lambda: plots.softmax_bars([2.0, 1.0, 0.1], ANIMALS),
    "sigmoid-each": lambda: plots.sigmoid_each([2.0, 1.0, 0.1], ANIMALS),
    "temperature": lambda: plots.temperature_curves([2.0, 1.0, 0.1], ANIMALS),
    "accuracy": plots.formula_errors,
    "descent": diagrams.descent,
}


def function_of(ufunc: np.ufunc) -> object:
    """Return a function that shows itself as a ufunc does: Sphinx 9 takes a ufunc for data, and then stumbles over its signature."""

    def function(*args: object, **options: object) -> object:
        return ufunc(*args, **options)

    function.__name__, function.__qualname__, function.__module__ = ufunc.__name__, ufunc.__name__, "sigmax"
    function.__doc__ = ufunc.__doc__.partition("\n")[2].lstrip()
    function.__signature__ = inspect.signature(ufunc)
    return function


for name, thing in list(vars(sigmax).items()):
    if isinstance(thing, np.ufunc):
        setattr(sigmax, name, function_of(thing))


def draw(_app: object) -> None:
    """Draw the figures of the pages, for light and for dark, and lay out the files that a page works on."""
    folder = HERE / "_figures"
    folder.mkdir(exist_ok=True)
    lent = HERE / "_build/credit"  # where howto/decide.md works
    lent.mkdir(parents=True, exist_ok=True)
    for file in (HERE.parent / "examples").glob("credit_*.csv"):
        shutil.copy(file, lent)
    for name, make in FIGURES.items():
        plots.save(make(), folder / f"{name}.svg")
        plots.save(plots.on_dark(make()), folder / f"{name}-dark.svg")


def copy_figures(app, _failure) -> None:
    """Copy the measured figures, which the pages name in HTML for the sake of GitHub."""
    if app.builder.name == "html":
        shutil.copytree(HERE / "figures", Path(app.outdir) / "figures", dirs_exist_ok=True)


def mathml(display: str):
    """Return a visitor that writes a formula as MathML, which browsers show without a script."""

    def visit(writer, node) -> None:
        writer.body.append(latex2mathml.converter.convert(node.astext(), display=display))
        raise nodes.SkipNode

    return visit, None


def setup(app):  # noqa: D103
    app.add_html_math_renderer("mathml", mathml("inline"), mathml("block"))
    app.connect("builder-inited", draw)
    app.connect("build-finished", copy_figures)
