"""Deep methods that ours is set beside: autoencoders, deep embedded clustering, a transformer.

They are small, for a few hundred samples on a CPU. All see samples that are centred by the fitted
mean and divided by one number, with the modes that have neighbourhoods last and the others as
channels. All are trained by AdamW under a one-cycle schedule; for how long is searched: a fit of
four fifths of the fitted samples is scored on the fifth (as the competitors in `_competitors` are),
after a third, two thirds and all of its steps, and what was best is then done with all samples.
"""

import copy
import itertools
import math

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import nn
from torch.nn import functional

from tensorly_norank.encoders import ConvEncoder

N_STEPS = 900
BATCH = 32
N_CODES = 32
_SHIFT = 0.06  # of a mode's length, as our own training does
_NOISE = 0.25
_FAST = {4: torch.channels_last, 5: torch.channels_last_3d}  # by the order of the images
_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_BACK = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_SIDE = {1: 64, 2: 8, 3: 4}  # of a transformer's patches, by how many modes there are: 64 in all


class Arranged:
    """From samples to (n, channels, *places), float32, in units of the fitted samples."""

    def __init__(self, samples):
        self.modes = ConvEncoder(samples.shape[1:], 2).convolved_modes
        self.mean = samples.mean(axis=0)
        self.scale = np.sqrt(np.mean((samples - self.mean) ** 2)) or 1.0

    def __call__(self, samples):
        samples = torch.from_numpy((samples - self.mean) / self.scale).float()
        last = range(samples.ndim - len(self.modes), samples.ndim)
        samples = samples.movedim([mode + 1 for mode in self.modes], list(last))
        return samples.reshape(len(samples), -1, *samples.shape[samples.ndim - len(self.modes) :])


def varied(images):
    """Moved along each mode of places by a few of them, and with white noise."""
    for dim in range(2, images.ndim):
        most = max(1, int(_SHIFT * images.shape[dim]))
        step = int(torch.randint(-most, most + 1, ()))
        places = (torch.arange(images.shape[dim]) + step).clamp(0, images.shape[dim] - 1)
        images = images.index_select(dim, places)
    return images + _NOISE * torch.randn_like(images)


class Autoencoder(nn.Module):
    """Convolutions that halve the places down to four, a code, and the way back."""

    def __init__(self, shape, is_variational=False):
        super().__init__()
        n_channels, *places = shape
        convolution, back = _CONV[len(places)], _BACK[len(places)]
        self.is_variational = is_variational
        self.sizes, widths = [places], [n_channels]
        while max(self.sizes[-1]) > 4:
            self.sizes.append([math.ceil(size / 2) for size in self.sizes[-1]])
            widths.append(min(128, 16 * 2 ** (len(self.sizes) - 2)))
        pairs = list(itertools.pairwise(widths))
        self.down = nn.Sequential(
            *[
                nn.Sequential(convolution(a, b, 3, 2, 1), nn.GroupNorm(4, b), nn.GELU())
                for a, b in pairs
            ]
        )
        self.smallest = [widths[-1], *self.sizes[-1]]
        n_codes = 2 * N_CODES if is_variational else N_CODES
        self.to_code = nn.Linear(math.prod(self.smallest), n_codes)
        self.from_code = nn.Linear(N_CODES, math.prod(self.smallest))
        self.up = nn.ModuleList([back(b, a, 3, 2, 1) for a, b in reversed(pairs)])

    def encode(self, images):
        """The code of each, or the mean of its distribution."""
        return self.to_code(self.down(images).flatten(1))[:, :N_CODES]

    def decode(self, codes):
        """Images from codes."""
        images = self.from_code(codes).view(len(codes), *self.smallest)
        for layer, size in zip(self.up, reversed(self.sizes[:-1]), strict=True):
            images = layer(functional.gelu(images), output_size=size)
        return images

    def loss(self, images, labels):
        """Mean square error; of a variational one the negative bound on the likelihood."""
        codes = self.to_code(self.down(images).flatten(1))
        if not self.is_variational:
            return functional.mse_loss(self.decode(codes), images)
        means, logs = codes.chunk(2, dim=1)
        drawn = means + torch.randn_like(means) * (logs / 2).exp()
        n_entries = images[0].numel()
        divergence = (means**2 + logs.exp() - logs - 1).sum(dim=1).mean() / 2
        # In units of the noise's variance: a tenth of what samples vary by, on average.
        return functional.mse_loss(self.decode(drawn), images) / 0.2 + divergence / n_entries


class Transformer(nn.Module):
    """A small vision transformer: at most 64 patches, four layers, the mean token.

    It varies its images itself while it is trained.
    """

    def __init__(self, shape, n_classes=None, width=64):
        super().__init__()
        n_channels, *places = shape
        side = _SIDE[len(places)]
        patch = [max(1 + (size >= 8), math.ceil(size / side)) for size in places]
        n_tokens = math.prod(size // step for size, step in zip(places, patch, strict=True))
        self.to_tokens = _CONV[len(places)](n_channels, width, patch, patch)
        self.places = nn.Parameter(0.02 * torch.randn(n_tokens, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 4, nn.LayerNorm(width), False)
        self.to_classes = nn.Linear(width, n_classes) if n_classes else None

    def forward(self, images):
        """The mean token of each."""
        if self.training:
            images = varied(images)
        tokens = self.to_tokens(images).flatten(2).transpose(1, 2)
        return self.layers(tokens + self.places).mean(dim=1)

    def encode(self, images):
        """The same on the unit sphere."""
        return functional.normalize(self(images))

    def loss(self, images, labels):
        """Cross-entropy."""
        return functional.cross_entropy(self.to_classes(self(images)), labels, label_smoothing=0.1)


class ChannelsFirst(nn.Module):
    """A module of images as an encoder of samples as they lie in the tensor."""

    def __init__(self, module, modes):
        super().__init__()
        self.module, self.modes = module, modes

    def forward(self, samples):
        """(batch, *sample_shape) to (batch, D)."""
        last = range(samples.ndim - len(self.modes), samples.ndim)
        samples = samples.movedim([mode + 1 for mode in self.modes], list(last))
        places = samples.shape[samples.ndim - len(self.modes) :]
        return self.module(samples.reshape(len(samples), -1, *places))


class Clustering(nn.Module):
    """Deep embedded clustering (Xie, Girshick, Farhadi, 2016) from a trained autoencoder on."""

    def __init__(self, autoencoder, images, n_clusters, seed):
        super().__init__()
        self.autoencoder = copy.deepcopy(autoencoder)
        codes = embed(self.autoencoder, images)
        centres = KMeans(n_clusters, n_init=10, random_state=seed).fit(codes).cluster_centers_
        self.centres = nn.Parameter(torch.from_numpy(centres).float())

    def encode(self, images):
        """The code of each."""
        return self.autoencoder.encode(images)

    def loss(self, images, labels):
        """From the sharpened soft assignment to the soft assignment."""
        soft = 1 / (1 + torch.cdist(self.encode(images), self.centres).square())
        soft = soft / soft.sum(dim=1, keepdim=True)
        sharp = soft.square() / soft.sum(dim=0)
        sharp = (sharp / sharp.sum(dim=1, keepdim=True)).detach()
        return functional.kl_div(soft.log(), sharp, reduction="batchmean")


def train(module, images, labels, n_steps, learning_rate, looks=(), look=None):
    """Train in place; the mean loss of each tenth of the steps, and what `look` says at `looks`."""
    optimizer = torch.optim.AdamW(module.parameters(), learning_rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, n_steps)
    if images.ndim in _FAST:
        module = module.to(memory_format=_FAST[images.ndim])
        images = images.contiguous(memory_format=_FAST[images.ndim])
    losses, seen = [], []
    rows = _batches(len(images), n_steps)
    for step, chosen in enumerate(rows, 1):
        module.train()
        loss = module.loss(images[chosen], labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"the loss is {losses[-1]} in step {step}")
        if step in looks:
            seen.append(look(module))
    return [float(np.mean(part)) for part in np.array_split(losses, 10)], seen


def _batches(n_samples, n_steps):
    """Rows of each step: passes over all samples in new orders."""
    left = torch.empty(0, dtype=torch.long)
    for _ in range(n_steps):
        while len(left) < min(BATCH, n_samples):
            left = torch.cat([left, torch.randperm(n_samples)])
        yield left[:BATCH]
        left = left[BATCH:]


def embed(module, images):
    """Points of all images, numpy."""
    module.eval()
    with torch.no_grad():
        return torch.cat([module.encode(part) for part in images.split(256)]).numpy()
