"""
Simulated galaxies, crystals and brains
=======================================

Data whose truth is known, and in which that truth is not to be read off single pixels: what makes
a class is kept, what does not is varied as instruments and nature vary it.
"""

# %%
# Galaxies
# --------
# Five morphological types, with random orientation, size, place, brightness, seeing and sky. Rows
# are types; the brightness is drawn as its arcsinh, as astronomers do, because the centres are a
# hundred times as bright as the rims.

import matplotlib.pyplot as plt
import numpy as np
import tensorly as tl

from tensorly_norank.datasets import simulate_connectivity, simulate_crystals, simulate_galaxies
from tensorly_norank.plotting import plot_samples

galaxies = simulate_galaxies(60, random_state=0)
ax = plot_samples(galaxies.tensor, galaxies.labels, galaxies.class_names, stretch=20)
ax.set_title("default difficulty")

# %%
# The true parameters come along, and the image without noise.

for name in ("magnitude", "sersic_index", "bulge_fraction", "arm_contrast", "bar_fraction"):
    values = ", ".join(f"{value:.2f}" for value in galaxies.parameters[name][:5])
    print(f"{name:>15}: {values}")

# %%
# Two more levels of difficulty, and the templates of the simulation that was published with the
# method, of which three nearest neighbours in raw pixels name every new one correctly.

figure, axes = plt.subplots(1, 3, figsize=(12, 4.5), layout="constrained")
for ax, difficulty in zip(axes, ("easy", "hard", "paper"), strict=True):
    some = simulate_galaxies(30, difficulty=difficulty, random_state=0)
    stretch = None if difficulty == "paper" else 20
    plot_samples(some.tensor, some.labels, some.class_names, n_each=4, stretch=stretch, ax=ax)
    ax.set_title(difficulty)

# %%
# Crystals
# --------
# The seven crystal systems. A sample is a volume; the sheets show its sum along one axis, of the
# electron density and of the intensities of diffraction.

for kind in ("density", "diffraction"):
    crystals = simulate_crystals(56, kind=kind, random_state=0)
    ax = plot_samples(crystals.tensor, crystals.labels, crystals.class_names)
    ax.set_title(kind)

# %%
# Without noise, and with the cell's corner in the middle, the symmetry is plain to see. Turned at
# random, nothing is.

figure, axes = plt.subplots(1, 2, figsize=(12, 5.5), layout="constrained")
for ax, where in zip(axes, ({"origin": "centre"}, {"orientation": "random"}), strict=True):
    crystals = simulate_crystals(42, 24, "easy", **where, random_state=0)
    plot_samples(crystals.noiseless, crystals.labels, crystals.class_names, n_each=6, ax=ax)
    ax.set_title(", ".join(f"{name}={value!r}" for name, value in where.items()))

# %%
# Connectivity
# ------------
# Correlations between regions of the brain of two groups, which differ among a few regions; sites
# differ more. No single matrix shows it; the mean of many would.

brains = simulate_connectivity(200, random_state=0)
matrices = tl.to_numpy(brains.tensor)
difference = matrices[brains.labels == 1].mean(axis=0) - matrices[brains.labels == 0].mean(axis=0)
figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
panels = {
    "one control": matrices[0],
    "case − control, of means": difference,
    "case − control, the truth": brains.difference,
}
for ax, (title, matrix) in zip(axes, panels.items(), strict=True):
    limit = np.abs(matrix - np.diag(np.diag(matrix))).max()
    image = ax.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.colorbar(image, ax=ax, shrink=0.8)
    ax.set(title=title, xlabel="region", ylabel="region")
print("The groups differ among the regions", *brains.regions)
plt.show()
