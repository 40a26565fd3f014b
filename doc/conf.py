"""Configuration of the documentation."""

import os
import subprocess
import sys
from pathlib import Path

import tensorly_norank

sys.path.insert(0, str(Path(__file__).parent))  # of gallery_order.py

project = "tensorly_norank"
author = "The tensorly_norank developers"
copyright = "2026, The tensorly_norank developers"
release = tensorly_norank.__version__
version = ".".join(release.split(".")[:2])

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]

exclude_patterns = ["_build", "templates", "Thumbs.db", ".DS_Store"]
templates_path = ["templates"]
root_doc = "index"
language = "en"

add_function_parentheses = False
add_module_names = False
autosummary_generate = True
autoclass_content = "class"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say what the arguments are
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "gallery_order.ByPlace",
    "doc_module": ("tensorly_norank",),
    "reference_url": {"tensorly_norank": None},
    "remove_config_comments": True,
    "show_memory": False,
    "parallel": min(os.cpu_count() or 1, 8),  # examples of one thread each
    "abort_on_example_error": True,
}

pygments_style = "sphinx"
html_theme = "tensorly_sphinx_theme"
html_title = "tensorly_norank: tensor decomposition without a rank"
html_short_title = "tensorly_norank"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme_options = {
    "searchbar_text": "Search in tensorly_norank",
    "nav_links": [
        ("Install", "install"),
        ("User Guide", "user_guide/index"),
        ("API", "modules/api"),
        ("Examples", "auto_examples/index"),
        ("About", "about"),
    ],
    "nav_dropdowns": [
        (
            "Ecosystem",
            [
                ("TensorLy", "http://tensorly.org"),
                ("TensorLy-Torch", "http://tensorly.org/torch"),
                ("TensorLy-Viz", "http://tensorly.org/viz"),
            ],
        ),
    ],
}
html_permalinks = False
html_show_sourcelink = False
html_show_sphinx = False
html_use_index = False


def setup(app):
    """Make tables and figures of the page on the paper from the benchmarks' results."""
    report = Path(__file__).parent.parent / "benchmarks" / "report.py"
    subprocess.run([sys.executable, report], check=True)
