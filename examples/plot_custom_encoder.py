"""
An encoder of your own
======================

``encoder=`` takes any PyTorch module that maps ``(batch, *sample_shape)`` to ``(batch, D)``. All
else stays as it is: the components are counted, new samples are embedded, and the decomposition can
be saved. Here: a small residual network for images.
"""

# %%
# The module
# ----------
# A block has two 3 × 3 convolutions and a way around them. They are normalised by ``GroupNorm``,
# not by ``BatchNorm``: where a sample lies must not depend on which others happen to be in its
# batch. Samples come as they lie in the tensor, (batch, 8, 8), and standardised; ``forward`` adds
# the axis of the channel. The last layer has 32 outputs, and no activation.
#
# For the built-in encoders samples are varied a little in every pass, for a module of yours they
# are not. What it needs it does itself, while ``self.training``: here, it adds noise. The noise
# follows ``random_state``, and torch's generator is left as it was.

import os
import tempfile
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from sklearn.model_selection import StratifiedShuffleSplit
from torch import nn

from tensorly_norank import NoRankTensor, no_rank_decomposition
from tensorly_norank.datasets import load_digits
from tensorly_norank.evaluation import compare, evaluate_embedding
from tensorly_norank.plotting import plot_embedding


class BasicBlock(nn.Module):
    """Two convolutions beside a shortcut; the first one may halve the image."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(8, n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(8, n_out)
        self.shortcut = nn.Identity()
        if stride > 1 or n_in != n_out:
            self.shortcut = nn.Conv2d(n_in, n_out, 1, stride, bias=False)

    def forward(self, images):
        inner = self.norm1(self.conv1(images)).relu()
        return (self.norm2(self.conv2(inner)) + self.shortcut(images)).relu()


class ResNet(nn.Module):
    """A stem, a block for each width, the mean over all places, a linear map."""

    def __init__(self, widths=(16, 32, 64), n_outputs=32, noise=0.25):
        super().__init__()
        self.noise = noise
        first = nn.Conv2d(1, widths[0], 3, padding=1, bias=False)
        self.stem = nn.Sequential(first, nn.GroupNorm(8, widths[0]), nn.ReLU())
        stages = [BasicBlock(widths[0], widths[0], stride=1)]
        for n_in, n_out in pairwise(widths):
            stages.append(BasicBlock(n_in, n_out, stride=2))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(widths[-1], n_outputs)

    def forward(self, samples):
        if self.training:
            samples = samples + self.noise * torch.randn_like(samples)
        images = samples[:, None]  # one channel
        return self.head(self.stages(self.stem(images)).mean(dim=(2, 3)))


torch.manual_seed(0)  # its starting values are yours, and not drawn with random_state
resnet = ResNet()
print(f"{sum(parameter.numel() for parameter in resnet.parameters())} parameters")

# %%
# Beside the built-in encoders
# ----------------------------
# On two halves of 1000 digits, each time scored on the other half. The module is copied for every
# fit, which leaves it as it is. The learning rate, the batches and the terms of the objective are
# the same for all encoders.

digits = load_digits()
tensor, labels = digits.tensor[:1000], digits.labels[:1000]
halves = StratifiedShuffleSplit(2, test_size=0.5, random_state=0)
settings = {"n_iter_max": 20, "tol": 0}  # few passes, to be quick
encoders = {"ResNet": resnet, "conv": "conv", "linear": "linear"}
methods = {name: settings | {"encoder": encoder} for name, encoder in encoders.items()}
table = compare(tensor, labels, methods, cv=halves, random_state=0, verbose=1)

figures = ["knn_accuracy", "triplet_accuracy", "silhouette", "n_components"]
for column in ("mean", "std"):
    shown = table[column].unstack("figure").loc[list(encoders), figures]
    print(f"\n{column}, held out")
    print(shown.to_string(float_format="%.3f"))

# %%
# Both networks pull the classes farther apart than a linear map can, as the silhouette shows, and
# order more triplets correctly. With so few passes ``conv``, whose samples are moved in training,
# is not at its best: nothing is said here of which network is the better one. All three find the
# same number of components, which is a matter of the classes.

# %%
# One of the fits
# ---------------
# The components were counted on samples that were held out of it. ``result.encoder`` is the trained
# copy.

fitted, new = next(halves.split(tensor, labels))
result = no_rank_decomposition(
    tensor[fitted], labels[fitted], encoder=resnet, random_state=0, **settings
)
print(result)
points = result.transform(tensor[new])
scores = evaluate_embedding(points, labels[new], result.embedding, labels[fitted])
print(f"{scores['knn_accuracy']:.3f} of new digits named correctly by their 3 nearest neighbours")

kernels = result.encoder.stem[0].weight.detach()[:, 0]  # 16 of 3 × 3
sheet = nn.functional.pad(kernels, (0, 1, 0, 1), value=torch.nan)  # white between them
sheet = sheet.reshape(4, 4, 4, 4).transpose(1, 2).reshape(16, 16)[:-1, :-1].numpy()
_, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
plot_embedding(points, labels[new], ax=axes[0]).set_title("New digits")
axes[1].imshow(sheet, cmap="gray")
axes[1].set(xticks=[], yticks=[], title="Kernels of the first layer")
plt.show()

# %%
# Saved and loaded
# ----------------
# A file holds no code: of a module of yours it has parameters and buffers alone. So ``load`` asks
# for one of the same architecture, whatever its parameters are. They are replaced, in a copy, and
# new samples are embedded to the same bits.

folder = tempfile.TemporaryDirectory()
path = os.path.join(folder.name, "digits.safetensors")
result.save(path)
again = NoRankTensor.load(path, encoder=ResNet())
print("the same bits:", (again.transform(tensor[new]) == points).all())

# %%
# Without it, or with another architecture, the file is refused. Names and shapes of the parameters
# are compared; what ``forward`` does with them cannot be, and is yours to keep.

for other in (None, ResNet(widths=(16, 32))):
    try:
        NoRankTensor.load(path, encoder=other)
    except ValueError as error:
        print(error)
folder.cleanup()
