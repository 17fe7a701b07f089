"""Sphinx: the pages beside this file, an API reference from docstrings, and a gallery that is executed."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import Param, Params

import sparkgd
from sparkgd.ml.estimator import LinearEstimator
from sparkgd.tuning import CrossValidator, TrainValidationSplit

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "sparkgd"
release = version = sparkgd.__version__
copyright = "the authors of sparkgd"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["gallery", "sg_execution_times.rst"]
templates_path = ["_templates"]
default_role = "py:obj"  # docstrings name classes and methods in single backticks

myst_heading_anchors = 3
autodoc_typehints = "none"  # numpydoc's sections say types with their shapes
numpydoc_show_class_members = False  # the templates list them
numpydoc_class_members_toctree = False
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = "sparkgd"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["sparkgd.css"]
html_theme_options = {"show_prev_next": True, "navigation_with_keys": False, "secondary_sidebar_items": ["page-toc"]}
html_sidebars = {
    page: [] for page in ("index", "tutorial", "solvers", "tuning", "streams", "clusters", "faults", "moving")
}

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": "/",  # all are executed
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 0,
    "remove_config_comments": True,
    "backreferences_dir": None,
    "write_computation_times": False,
}

VALIDATORS = (CrossValidator, TrainValidationSplit)


def skip_member(app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what Spark documents itself, params, which have a table, and their setters and getters."""
    if isinstance(member, Param) or name == "uid":
        return True
    function = member.fget if isinstance(member, property) else inspect.unwrap(getattr(member, "__func__", member))
    home = getattr(function, "__module__", None) or ""
    if what == "class" and callable(function) and not home.startswith("sparkgd"):
        return True
    return True if home == "sparkgd.ml.params.shared" else None


def add_params(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Append a table of its params, with defaults, to the docstring of an estimator."""
    if what != "class" or not issubclass(obj, (LinearEstimator, *VALIDATORS)) or inspect.isabstract(obj):
        return
    estimator = obj()
    lines += ["", ".. rubric:: Params", "", ".. list-table::", "   :header-rows: 1", "   :widths: 26 14 60"]
    lines += ["   :class: params", "", "   * - param", "     - default", "     - meaning"]
    for each in estimator.params:
        lines += [f"   * - ``{each.name}``", f"     - {_default(estimator, each)}", f"     - {_plain(each.doc)}"]
    lines.append("")


def shorten_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str, None] | None:
    """Fifty params are a table, not a signature."""
    is_estimator = what == "class" and issubclass(obj, LinearEstimator)
    return ("(**params)", None) if is_estimator else None


def _default(estimator: Params, given: Param[Any]) -> str:
    if not estimator.hasDefault(given):
        return ""
    value = estimator.getOrDefault(given)
    is_of_the_process = given.name == "seed" and isinstance(estimator, VALIDATORS)  # a hash of the name of the class
    return "" if is_of_the_process or value == "" else f"``{value}``"


def _plain(text: str) -> str:
    """The same words with nothing in them that markup could mean."""
    text = text.replace(":py:class:", "").replace("`", "'")
    return "".join(f"\\{each}" if each in "*_|\\" else each for each in text)


def setup(app: Sphinx) -> None:
    """Connect what is above; the table after numpydoc, which has the priority 500."""
    for name in sparkgd.__all__[1:]:
        import_module(f"sparkgd.{name}")
    app.connect("autodoc-skip-member", skip_member)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("autodoc-process-docstring", add_params, priority=900)
