"""Every method that the paper's experiments set beside ours, with a small search of its settings.

A method is a callable `(fit_samples, fit_labels, new_samples, random_state)` that returns both
embeddings, as `tensorly_norank.evaluation.compare` takes it. Settings are searched within the
fitted samples alone, as `_searched.py` says. Ours are not searched: that is what `"auto"` is for.
Deep embedded clustering goes on from the autoencoder of the same split, whose time counts in its
own.
"""

import time
from typing import NamedTuple

import joblib
import numpy as np
import torch
from _deep import (
    DEVICE,
    STEPS_OF_CLUSTERING,
    Arranged,
    Autoencoder,
    ConvNet,
    Transformer,
    clustered,
    embed,
    train,
)
from _searched import a_fifth, score, searched_methods

from tensorly_norank import no_rank_decomposition

OURS = ("ours", "ours, mlp", "ours, conv", "ours, linear", "ours, multilinear")
SPREAD = "ours, spread"  # as the documentation advises where new classes are what one is after
BESIDE = ("our network, another loss", "transformer, our loss")  # partly ours
OF_COPIES = "longer CNN, mean of copies"
PROBABILITIES = "longer CNN, probabilities"
DEEP = (
    "autoencoder",
    "DEC",
    "VAE",
    "CNN",
    "longer CNN",
    OF_COPIES,
    PROBABILITIES,
    "transformer",
    *BESIDE,
)
IN_SAMPLE_ONLY = ("t-SNE",)


def competitors(n_fit, n_entries, unseen_classes=False):
    """All methods by name, for so many fitted samples of so many entries."""
    return searched_methods(n_fit, n_entries, unseen_classes) | {
        "autoencoder": Trained(_autoencoder, unseen_classes),
        "DEC": Clustered(_autoencoder, unseen_classes),
        "VAE": Trained(_variational_autoencoder, unseen_classes),
        "CNN": Trained(ConvNet, unseen_classes),
        # The search above takes the longest nearly always: is more better still?
        "longer CNN": Trained(ConvNet, unseen_classes, (2700,)),
        # Networks that are trained on moved copies gain from embedding as their mean, as ours does.
        OF_COPIES: Trained(ConvNet, unseen_classes, (2700,), read_out="encode_copies"),
        # Not an embedding by intention, but one that lays classes apart: corners of a simplex.
        PROBABILITIES: Trained(ConvNet, unseen_classes, (2700,), read_out="probabilities"),
        "transformer": Trained(Transformer, unseen_classes, (1800, 600), 2e-3),
        "transformer, our loss": _ours_with_a_transformer,
        "our network, another loss": _ours_with_another_loss,
        "ours": Ours(encoder="auto"),
        **{name: Ours(encoder=name.removeprefix("ours, ")) for name in OURS[1:]},
        SPREAD: Ours(encoder="auto", diversity=10, rank=64),
    }


class Trained:
    """A deep method whose number of steps is searched; `curve` is that of the last training.

    `n_steps` are tried, the first is taken if in doubt; a single one is taken without a search.
    `seconds_before` are those that went into what was trained for another method. `read_out` is the
    method of the module that gives the points.
    """

    def __init__(
        self,
        make,
        unseen_classes=False,
        n_steps=(900, 300),
        learning_rate=1e-3,
        read_out="encode",
    ):
        self.make, self.unseen_classes = make, unseen_classes
        self.n_steps, self.learning_rate, self.read_out = n_steps, learning_rate, read_out
        self.chosen, self.curve, self.seconds_before = "", [], 0.0

    def __call__(self, fit_samples, fit_labels, new_samples, random_state):
        """Search, train on all, embed both."""
        images, module = self.fit(fit_samples, fit_labels, random_state)
        parts = (fit_samples, new_samples)
        return tuple(embed(module, images(part), self.read_out) for part in parts)

    def fit(self, samples, labels, seed):
        """What arranges samples, and the module."""
        found = self.training(samples, labels, seed)
        return found.images, found.module

    def training(self, samples, labels, seed):
        """The training, made now or for another method before."""
        start = time.perf_counter()
        found = _trained(
            self.make, samples, labels, seed, self.unseen_classes, self.n_steps, self.learning_rate
        )
        self.seconds_before = max(0.0, found.seconds - (time.perf_counter() - start))
        self.chosen, self.curve = f"{found.n_steps} steps", found.losses
        return found


class Clustered(Trained):
    """Deep embedded clustering, from where the autoencoder has come; its curve goes on."""

    def fit(self, samples, labels, seed):
        """What arranges samples, and the module."""
        before = self.training(samples, labels, seed)
        codes = np.unique(labels, return_inverse=True)[1]
        part, left = a_fifth(codes, seed, self.unseen_classes)
        arranged, left_out = (before.images_of_part(samples[rows]) for rows in (part, left))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            tried = {
                n: clustered(before.module_of_part, arranged, codes[part], n, seed)[0]
                for n in STEPS_OF_CLUSTERING
            }
            n_steps = _best(tried, arranged, codes[part], left_out, codes[left])
            module, curve = clustered(before.module, before.images(samples), codes, n_steps, seed)
        self.chosen += f", then {n_steps}"
        self.curve = self.curve + curve
        return before.images, module


def _only_once(function):
    """The function, remembering its last call: what two methods have in common is fitted once."""
    last = {}

    def remembering(*args):
        key = joblib.hash(args)
        if key not in last:
            last.clear()
            last[key] = function(*args)
        return last[key]

    return remembering


class _Training(NamedTuple):
    """What was trained on all samples, and on a part of them for the search; seconds of both."""

    images: Arranged
    module: torch.nn.Module
    n_steps: int
    losses: list
    images_of_part: Arranged
    module_of_part: torch.nn.Module | None  # of as many steps; None where one number was tried
    seconds: float


@_only_once
def _trained(make, samples, labels, seed, unseen_classes, n_steps_tried, learning_rate):
    """A training of as many steps as served a fifth that was left out best."""
    start = time.perf_counter()
    codes = np.unique(labels, return_inverse=True)[1]
    part, left = a_fifth(codes, seed, unseen_classes)

    def trained(images, codes, n_steps):
        classes, codes = np.unique(codes, return_inverse=True)
        module = make(images.shape[1:], len(classes))
        return module, train(module, images, torch.from_numpy(codes), n_steps, learning_rate)

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        images_of_part = Arranged(samples[part])
        seen, left_out = images_of_part(samples[part]), images_of_part(samples[left])
        searched = n_steps_tried if len(n_steps_tried) > 1 else ()
        tried = {n: trained(seen, codes[part], n)[0] for n in searched}
        n_steps = n_steps_tried[0]
        if tried:
            n_steps = _best(tried, seen, codes[part], left_out, codes[left])
        images = Arranged(samples)
        module, losses = trained(images(samples), codes, n_steps)
    seconds = time.perf_counter() - start
    module_of_part = tried.get(n_steps)
    return _Training(images, module, n_steps, losses, images_of_part, module_of_part, seconds)


def _best(modules, seen, seen_labels, images, labels):
    """The name of the module that embeds images best that it has not seen."""
    scores = {
        name: score(embed(module, seen), seen_labels, embed(module, images), labels)
        for name, module in modules.items()
    }
    return max(scores, key=scores.get)


def _autoencoder(shape, n_classes):
    return Autoencoder(shape)


def _variational_autoencoder(shape, n_classes):
    return Autoencoder(shape, is_variational=True)


class Ours:
    """Ours, as a method, with the settings given; `chosen` is the encoder of the last fit."""

    def __init__(self, **keywords):
        self.keywords = keywords
        self.chosen = ""

    def __call__(self, fit_samples, fit_labels, new_samples, random_state):
        """Fit, embed both."""
        result = no_rank_decomposition(
            fit_samples, fit_labels, random_state=random_state, device=DEVICE, **self.keywords
        )
        self.chosen = type(result.encoder).__name__
        return result.embedding, result.transform(new_samples)


def _ours_with_another_loss(fit_samples, fit_labels, new_samples, random_state):
    """Our network and all else, with the triplets of pytorch-metric-learning."""
    from pytorch_metric_learning.losses import TripletMarginLoss

    keywords = {"encoder": "conv", "loss": TripletMarginLoss()}
    return Ours(**keywords)(fit_samples, fit_labels, new_samples, random_state)


def _ours_with_a_transformer(fit_samples, fit_labels, new_samples, random_state):
    """The transformer as our encoder."""
    images = Arranged(fit_samples)
    fit, new = (images(samples).numpy() for samples in (fit_samples, new_samples))
    with torch.random.fork_rng():
        torch.manual_seed(random_state)
        module = Transformer(fit.shape[1:])
    return Ours(encoder=module)(fit, fit_labels, new, random_state)
