import os

import pytest
import tensorly as tl


@pytest.fixture(autouse=True)
def _chosen_backend():
    """Every test starts and ends on the backend that the environment names."""
    backend = os.environ.get("TENSORLY_BACKEND", "numpy")
    tl.set_backend(backend)
    yield
    tl.set_backend(backend)
