"""What torch holds for the whole process or thread: generators to be lent, modes to be left."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch

# Generators belong to the process: who borrows them in another thread has to wait.
_BORROWED = threading.RLock()


@contextlib.contextmanager
def lent_global_generators(device: torch.device, seed: int) -> Iterator[None]:
    """Torch's global generators, seeded; afterwards they are put back."""
    devices = [device] if device.type == "cuda" else []
    with _BORROWED, torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.default_generators[device.index or 0].manual_seed(seed)
        yield


@contextlib.contextmanager
def without_modes() -> Iterator[None]:
    """Whatever modes the caller is in: gradients can be had, and nothing is rounded to half."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield
