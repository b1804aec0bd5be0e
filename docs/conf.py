"""Sphinx configuration. Two pages are written from the code itself at build time: see _ext/tables.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from wmlclient._version import __version__

project = "wmlclient"
author = "The wmlclient developers"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "tables",
]
exclude_patterns = ["_build", "_ext", "reference/_*"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"wmlclient {release}"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "undoc-members": False}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attrs lists its attributes itself
add_module_names = False

# Only our own names must resolve: other projects' inventories would need the network at every build.
nitpick_ignore_regex = [
    ("py:.*", r"(?!wmlclient).*"),
    ("py:class", r"wmlclient\._sentinel\..*|wmlclient\.waiting\.Clock|wmlclient\.pages\.T|.*\.TableLike"),
    ("py:attr", r"wmlclient\.scoring\.Scorer\.hints"),  # an attribute among its Attributes
]

# Docstrings are run by pytest --doctest-modules, in their own modules; here only what the pages hold.
doctest_test_doctest_blocks = ""
