"""
Save, and load elsewhere
========================

A decomposition is fitted once and used for years. ``save`` writes arrays in the safetensors format
and everything else as JSON: nothing in such a file is ever executed, and files of earlier versions
can be read by later ones.
"""

import json
import os
import tempfile

import matplotlib.pyplot as plt
from safetensors import safe_open

from tensorly_norank import NoRankTensor, no_rank_decomposition
from tensorly_norank.datasets import load_digits
from tensorly_norank.plotting import plot_embedding

digits = load_digits()
fitted, new = slice(0, 600), slice(600, 900)
result = no_rank_decomposition(
    digits.tensor[fitted], digits.labels[fitted], encoder="linear", random_state=0
)

folder = tempfile.TemporaryDirectory()
path = os.path.join(folder.name, "digits.safetensors")
result.save(path)
print(f"{os.path.getsize(path) / 1024:.0f} KiB")

# %%
# In another process, on another machine or with another backend of TensorLy. Every stored number
# is the same to the last bit; so are new samples' embeddings, on the same machine and with the same
# versions (elsewhere they may differ by rounding):

again = NoRankTensor.load(path)
print(again)
points = again.transform(digits.tensor[new])
print((points == result.transform(digits.tensor[new])).all())

# %%
# Why there are so many components, the history of the fit and the settings are there too, and what
# wrote the file.

print(again.rank_evidence)
with safe_open(path, framework="numpy") as file:
    print(json.loads(file.metadata()["tensorly_norank"])["versions"])

# %%
# New digits (large) among those of the fit. If the encoder was a module of your own,
# ``load(path, encoder=...)`` takes one of the same architecture.

plot_embedding(again, digits.labels[fitted], new=points, new_labels=digits.labels[new])
plt.show()
folder.cleanup()
