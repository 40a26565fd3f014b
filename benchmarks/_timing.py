"""Times of several ways to do the same, taken in turns."""

import time

import numpy as np


def medians(calls, n_repeats):
    """Median seconds of each call, and what each returned; one untimed round first."""
    results = {name: call() for name, call in calls.items()}
    seconds = {name: [] for name in calls}
    for _ in range(n_repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in seconds.items()}, results
