import os
from pathlib import Path

import pytest
import tensorly as tl


@pytest.fixture(autouse=True)
def _chosen_backend():
    """Every test starts and ends on the backend that the environment names."""
    backend = os.environ.get("TENSORLY_BACKEND", "numpy")
    tl.set_backend(backend)
    yield
    tl.set_backend(backend)


@pytest.fixture
def benchmark_module(monkeypatch, tmp_path):
    """Imports a module of the benchmarks, whose tables are in a folder of the test."""
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
    tl.set_backend("numpy")  # which they run on

    def load(name):
        monkeypatch.setattr("_rows.RESULTS", tmp_path)
        return __import__(name)

    return load
