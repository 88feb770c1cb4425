"""The site: the guide, the reference and the contract, built by Sphinx from this folder.

``python3 tests/check.py --docs`` builds it, into a folder that git ignores. Nothing is downloaded,
and a warning is an error.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from rxsocket.version import VERSION  # noqa: E402 - found by what is above

project = "rxsocket"
author = "the rxsocket contributors"
project_copyright = author
version = release = VERSION

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "extensions.contract",
    "extensions.names",
    "extensions.llms",
]
exclude_patterns = ["extensions", "static", "**/.ipynb_checkpoints"]
nitpicky = True

html_theme = "furo"
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_title = f"rxsocket {VERSION}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = True
html_show_sphinx = False

# The notebooks are saved with what they showed; the tests run them.
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # a saved picture needs no script, and no network
nb_merge_streams = True
myst_heading_anchors = 3
myst_links_external_new_tab = False
suppress_warnings = ["mystnb.unknown_mime_type"]  # a live view, beside its saved picture

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
