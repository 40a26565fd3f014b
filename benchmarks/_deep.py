"""Deep methods that ours is set beside: autoencoders, deep embedded clustering, classifiers.

They are small, for a few hundred samples on a CPU; where there is a GPU they are trained on it. All
see samples that are centred by the fitted mean and divided by one number a channel, with the modes
that have neighbourhoods last and the others as channels, as our own convolutions do. All are
trained by AdamW under a one-cycle schedule; for how long is searched: a fit of four fifths of the
fitted samples is scored on the fifth, as those in `_searched` are, and the number of
steps that was best is then taken with all samples.
"""

import copy
import itertools
import math

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import nn
from torch.nn import functional

from tensorly_norank._embedder import Augmentation, move
from tensorly_norank.encoders import ConvEncoder

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
STEPS_OF_CLUSTERING = (200, 600)
_STEPS_OF_TARGETS = 20  # after which they are computed again
BATCH = 32
N_CODES = 32
_SHIFT = 0.06  # of a mode's length, as our own training does
_NOISE = 0.25
_FAST = {4: torch.channels_last, 5: torch.channels_last_3d}  # by the order of the images
_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_BACK = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_SIDE = {1: 64, 2: 8, 3: 4}  # of a transformer's patches, by how many modes there are: 64 in all


class Arranged:
    """From samples to (n, channels, *places), float32, each channel in units of the fitted ones."""

    def __init__(self, samples):
        self.modes = ConvEncoder(samples.shape[1:], 2).convolved_modes
        self.mean = samples.mean(axis=0)
        of_channel = (0, *[mode + 1 for mode in self.modes])
        scale = np.sqrt(np.mean((samples - self.mean) ** 2, axis=of_channel, keepdims=True))[0]
        self.scale = np.where(scale > 0, scale, 1.0)

    def __call__(self, samples):
        samples = torch.from_numpy((samples - self.mean) / self.scale).float()
        first = samples.ndim - len(self.modes)
        last = list(range(first, samples.ndim))
        samples = samples.movedim([mode + 1 for mode in self.modes], last)
        return samples.reshape(len(samples), -1, *samples.shape[first:])


def copies(images):
    """The images, and then moved to both sides along each mode of places, as ours does to embed."""
    places = images.shape[2:]
    moves = Augmentation(noise=0.0, shift=_SHIFT, shifted_modes=range(len(places))).moves(places)
    there_and_back = [move(images, mode + 2, s) for mode, step in moves for s in (-step, step)]
    return [images, *there_and_back]


def _mean_over_copies(function, images):
    return torch.stack([function(one) for one in copies(images)]).mean(dim=0)


def varied(images):
    """Each moved along each mode of places by a few of them, and with white noise."""
    for dim in range(2, images.ndim):
        most = max(1, int(_SHIFT * images.shape[dim]))
        steps = torch.randint(-most, most + 1, (len(images), 1), device=images.device)
        images = move(images, dim, steps)
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
        self.added = [-size % step for size, step in zip(places, patch, strict=True)]
        n_tokens = math.prod(
            (size + more) // step
            for size, more, step in zip(places, self.added, patch, strict=True)
        )
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
        whole = functional.pad(images, [end for more in reversed(self.added) for end in (0, more)])
        tokens = self.to_tokens(whole).flatten(2).transpose(1, 2)
        return self.layers(tokens + self.places).mean(dim=1)

    def encode(self, images):
        """The same on the unit sphere."""
        return functional.normalize(self(images))

    def loss(self, images, labels):
        """Cross-entropy."""
        return functional.cross_entropy(self.to_classes(self(images)), labels, label_smoothing=0.1)


class ConvNet(nn.Module):
    """Three convolutions, each with pooling, and a layer of features, for cross-entropy.

    It varies its images itself while it is trained.
    """

    def __init__(self, shape, n_classes, widths=(32, 64, 128), n_features=128):
        super().__init__()
        n_channels, *places = shape
        convolution, pool = _CONV[len(places)], _POOL[len(places)]
        layers = []
        for before, after in itertools.pairwise((n_channels, *widths)):
            stride = 2 if math.prod(places) > 1024 else 1  # for speed, as ours
            places = [math.ceil(size / stride) for size in places]
            steps = [2 if size >= 4 else 1 for size in places]
            places = [size // step for size, step in zip(places, steps, strict=True)]
            layers += [convolution(before, after, 3, stride, 1), pool(steps)]
            layers += [nn.GroupNorm(8, after), nn.GELU()]
        self.features = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(widths[-1] * math.prod(places), n_features)
        )
        to_classes = nn.Linear(n_features, n_classes)
        self.to_classes = nn.Sequential(nn.GELU(), nn.Dropout(0.5), to_classes)

    def encode(self, images):
        """The features on the unit sphere."""
        return functional.normalize(self.features(images))

    def encode_copies(self, images):
        """The mean of what moved copies are encoded as, which is how ours embeds."""
        return _mean_over_copies(self.encode, images)

    def probabilities(self, images):
        """Of the classes; the mean over copies that are moved."""
        return _mean_over_copies(lambda one: self.to_classes(self.features(one)).softmax(1), images)

    def loss(self, images, labels):
        """Cross-entropy."""
        points = self.to_classes(self.features(varied(images)))
        return functional.cross_entropy(points, labels, label_smoothing=0.1)


class Clustering(nn.Module):
    """Deep embedded clustering (Xie, Girshick, Farhadi, 2016) from a trained autoencoder on.

    In place of labels its loss takes the rows of the images.
    """

    def __init__(self, autoencoder, images, n_clusters, seed):
        super().__init__()
        self.autoencoder = copy.deepcopy(autoencoder)
        codes = embed(self.autoencoder, images)
        centres = KMeans(n_clusters, n_init=10, random_state=seed).fit(codes).cluster_centers_
        self.centres = nn.Parameter(torch.from_numpy(centres).float())
        self.images, self.n_losses = images, 0

    def encode(self, images):
        """The code of each."""
        return self.autoencoder.encode(images)

    def soften(self, codes):
        """The soft assignment of codes to the centres: (n, n_clusters)."""
        soft = 1 / (1 + torch.cdist(codes, self.centres).square())
        return soft / soft.sum(dim=1, keepdim=True)

    def loss(self, images, rows):
        """From the sharpened soft assignment, of all images together, to the soft assignment."""
        if self.n_losses % _STEPS_OF_TARGETS == 0:
            codes = torch.from_numpy(embed(self, self.images)).to(rows.device)
            soft = self.soften(codes).detach()
            sharp = soft.square() / soft.sum(dim=0)
            self.targets = sharp / sharp.sum(dim=1, keepdim=True)
        self.n_losses += 1
        soft = self.soften(self.encode(images))
        return functional.kl_div(soft.log(), self.targets[rows], reduction="batchmean")


def clustered(autoencoder, images, codes, n_steps, seed):
    """The clustering of a trained autoencoder, with as many clusters as classes; and its losses."""
    module = Clustering(autoencoder, images, len(np.unique(codes)), seed)
    rows = torch.arange(len(images))
    return module, train(module, images, rows, n_steps, 3e-4, weight_decay=0.0)


def train(module, images, labels, n_steps, learning_rate, weight_decay=0.05):
    """Train in place; the mean loss of each tenth of the steps."""
    module, images, labels = module.to(DEVICE), images.to(DEVICE), labels.to(DEVICE)
    optimizer = torch.optim.AdamW(module.parameters(), learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, n_steps)
    if images.ndim in _FAST:
        module = module.to(memory_format=_FAST[images.ndim])
        images = images.contiguous(memory_format=_FAST[images.ndim])
    losses = []
    for step, rows in enumerate(_batches(len(images), n_steps), 1):
        module.train()
        loss = module.loss(images[rows], labels[rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"the loss is {losses[-1]} in step {step}")
    return [float(np.mean(part)) for part in np.array_split(losses, 10)]


def _batches(n_samples, n_steps):
    """Rows of each step: passes over all samples in new orders."""
    left = torch.empty(0, dtype=torch.long)
    for _ in range(n_steps):
        while len(left) < min(BATCH, n_samples):
            left = torch.cat([left, torch.randperm(n_samples)])
        yield left[:BATCH]
        left = left[BATCH:]


def embed(module, images, read_out="encode"):
    """Points of all images, numpy; by another method of the module, if it is named."""
    module.eval()
    points_of = getattr(module, read_out)
    with torch.no_grad():
        points = [points_of(part.to(DEVICE)).cpu() for part in images.split(256)]
    return torch.cat(points).numpy()
