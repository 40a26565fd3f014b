"""Labelled tensors to measure on: real ones, and simulated ones whose truth is known.

Each function returns a Bunch like those of :mod:`tensorly.datasets`, with the tensor in TensorLy's
active backend, the samples on mode 0 and a label for each of them.
"""

from tensorly_norank.datasets._abide import load_abide
from tensorly_norank.datasets._connectivity import simulate_connectivity
from tensorly_norank.datasets._crystal_structures import CrystalStructure
from tensorly_norank.datasets._crystals import simulate_crystals
from tensorly_norank.datasets._galaxies import simulate_galaxies
from tensorly_norank.datasets._galaxy_types import Galaxy
from tensorly_norank.datasets._images import load_digits, load_lfw, load_olivetti
from tensorly_norank.datasets._planted import simulate_planted
from tensorly_norank.datasets._tensorly import load_covid19_serology, load_indian_pines_patches

__all__ = [
    "CrystalStructure",
    "Galaxy",
    "load_abide",
    "load_covid19_serology",
    "load_digits",
    "load_indian_pines_patches",
    "load_lfw",
    "load_olivetti",
    "simulate_connectivity",
    "simulate_crystals",
    "simulate_galaxies",
    "simulate_planted",
]
