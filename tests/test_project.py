"""The project's own files agree with each other, and importing the package stays light."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tensorly_norank

ROOT = Path(__file__).resolve().parent.parent
TESTED_EXTRAS = ("plot", "io", "progress", "compare", "images", "abide", "company", "test")
HEAVY = ("matplotlib", "sklearn.manifold", "tlviz", "safetensors", "nilearn")


def read(name: str) -> str:
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"{name} is not here: the tests run outside a checkout")
    return path.read_text(encoding="utf-8")


def pinned_versions(text: str) -> list[tuple[str, str]]:
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)$", text, flags=re.MULTILINE)
    return [(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in pins]


def test_pre_commit_uses_the_pinned_versions():
    pins = dict(pinned_versions(read("constraints.txt")))
    hooks = re.findall(r'"([a-z0-9-]+)==([^"]+)"', read(".pre-commit-config.yaml"))
    assert {name for name, _ in hooks} == {"ruff", "codespell"}
    assert [(name, pins[name]) for name, _ in hooks] == hooks


def test_constraints_pin_each_package_once_and_exactly():
    text = read("constraints.txt")
    pins = pinned_versions(text)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(pins) == len(dict(pins))
    assert not [version for _, version in pins if "+" in version]  # no local builds


def test_constraints_cover_every_requirement():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    pins = dict(pinned_versions(read("constraints.txt")))
    wanted = sum(project["optional-dependencies"].values(), project["dependencies"])
    names = {re.match(r"[A-Za-z0-9-]+", requirement)[0] for requirement in wanted}
    assert names - {"tensorly-norank"} - set(pins) == set()


def test_the_oldest_constraints_are_the_lower_bounds():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(one for name in TESTED_EXTRAS for one in extras[name])]
    bounds = dict(re.findall(r"([a-z0-9-]+)>=([0-9.]+)", " ".join(wanted)))
    pins = dict(pinned_versions(read("constraints-oldest.txt")))
    newer = {name for name, bound in bounds.items() if not f"{pins[name]}.".startswith(f"{bound}.")}
    # Of torch see the file; the others are what hatchling and nilearn need.
    assert newer == {"torch", "packaging", "pandas"}


def test_citation_has_the_version_of_the_package():
    (version,) = re.findall(r"^version: (\S+)$", read("CITATION.cff"), flags=re.MULTILINE)
    assert version.strip("\"'") == tensorly_norank.__version__


def test_files_that_know_tensorly_say_so_in_one_way():
    """By which `.ci/run` finds those that run on other backends."""
    for path in (ROOT / "tests").glob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        imports = re.findall(r"^\s*(?:import|from) tensorly\b(?!_norank).*$", text, re.MULTILINE)
        assert not imports or "import tensorly as tl" in imports, path.name


def test_the_reference_lists_all_names_and_what_users_are_given_has_one():
    page = read("doc/modules/api.rst")
    listed = re.findall(r"^   (\w+)$|^:mod:`tensorly_norank\.(\w+)`", page, flags=re.MULTILINE)
    assert set(tensorly_norank.__all__) <= {name for pair in listed for name in pair}
    assert {"RankEvidence", "EncoderChoice", "TrainingState"} <= set(tensorly_norank.__all__)


def test_all_names_exist():
    assert [name for name in tensorly_norank.__all__ if not hasattr(tensorly_norank, name)] == []


def imported(code: str) -> list[str]:
    """Which of the heavy modules are loaded after `code` ran in a fresh interpreter."""
    report = f"\nimport sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code + report], check=True, capture_output=True, text=True
    )
    return run.stdout.split()


def test_import_is_light():
    assert imported("import tensorly_norank") == []


def test_heavy_modules_are_imported_only_when_used():
    assert imported("from tensorly_norank import datasets, plotting") == []
    assert imported("import tensorly_norank as t; t.evaluation.compare") == ["sklearn.manifold"]
    assert {"datasets", "evaluation", "plotting"} <= set(dir(tensorly_norank))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tensorly_norank.nothing


def test_import_check_can_fail():
    assert "sklearn.manifold" in imported("import sklearn.manifold")
