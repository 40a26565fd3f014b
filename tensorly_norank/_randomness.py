"""Randomness for what draws from torch's global generators, which stay as they are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from tensorly_norank.encoders import Encoder


@contextlib.contextmanager
def lent_global_generators(device: torch.device, seed: int) -> Iterator[None]:
    """Torch's global generators, seeded; afterwards they are put back."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.default_generators[device.index or 0].manual_seed(seed)
        yield


@contextlib.contextmanager
def randomness_of_its_own(
    encoder: torch.nn.Module, generator: torch.Generator, with_global: bool
) -> Iterator[None]:
    """Let every layer draw from our generator.

    Our encoders take the generator. A module of the caller's may hold layers that draw from the
    global one (nn.Dropout does), and so may a loss (`with_global`); then that one is seeded from
    ours.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(encoder, Encoder):
            encoder.draw_from(generator)
            stack.callback(encoder.draw_from, None)
        if with_global or not isinstance(encoder, Encoder):
            # Another stream than the generator's, from which nothing is drawn for this.
            seed = generator.initial_seed() ^ 1
            stack.enter_context(lent_global_generators(generator.device, seed))
        yield
