"""The paper's data sets and methods, on the same splits: one row for each method and split.

    python benchmarks/paper.py                        # ten splits of everything: a day on two cores
    python benchmarks/paper.py digits lfw --splits 3  # pieces; two can run side by side
    python benchmarks/paper.py --methods ours LDA NCA --limit 300

Rows are appended to results/paper.csv as they come, with their time and the versions used; what is
there already is not run again. Every method runs in a process that is stopped at its limit. What
fails, runs out of time or is killed for its memory becomes a row that says so in `note`.
`report.py` makes the documentation's tables and figures of it.

"held out" fits a stratified half and scores the other (figures of the fitted half in-sample beside
it); "new classes" fits half of the classes and scores the others. How the loss of deep methods fell
is in results/paper_curves.csv.
"""

import argparse
import contextlib
import importlib.metadata
import multiprocessing
import os
import signal
import time
import warnings
from functools import lru_cache

import numpy as np
from _competitors import DEEP, IN_SAMPLE_ONLY, Trained, competitors
from _data import load
from _rows import Rows
from held_out import split_samples

from tensorly_norank.evaluation import compare

DATA = (
    "olivetti",
    "lfw",
    "digits",
    "pines",
    "serology",
    "abide",
    "galaxies",
    "galaxies, paper",
    "crystals",
    "crystals, paper",
)
WITH_NEW_CLASSES = ("olivetti", "lfw", "digits", "pines", "crystals")
FIGURES = (
    "silhouette",
    "ari",
    "nmi",
    "recall_at_1",
    "verification_auc",
    "triplet_accuracy",
    "knn_accuracy",
    "knn_balanced_accuracy",
    "trustworthiness",
    "continuity",
)
IN_SAMPLE = ("in_sample_silhouette", "in_sample_ari", "in_sample_recall_at_1")
KEYS = ("data", "kind", "split", "method")
FIELDS = (
    *KEYS,
    *FIGURES,
    *IN_SAMPLE,
    "n_components",
    "n_fit",
    "n_test",
    "seconds",
    "settings",
    "note",
    "versions",
)
PACKAGES = ("tensorly-norank", "tensorly", "torch", "scikit-learn", "numpy")


def main():
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="*")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--deep-splits", type=int, default=5, help="of deep competitors")
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--limit", type=float, default=900, help="seconds, of one method and split")
    parser.add_argument("--name", default="paper", help="of the CSV file")
    options = parser.parse_args()
    rows, curves = Rows(options.name, FIELDS, len(KEYS)), Curves(options.name)
    runner = Runner(options.limit)
    try:
        for job in jobs(options):
            if job in rows:
                continue
            row, curve = runner(job)
            if row is None:  # the data are not at hand
                continue
            rows.add(*[row.get(name, "") for name in FIELDS])
            curves.add(job, curve)
            print(*job, row["note"] or f"{row['seconds']} s", sep=", ", flush=True)
    finally:
        runner.stop()


def jobs(options):
    """(data, kind, split, method); a split of everything before the next."""
    methods = options.methods or list(competitors(100, 100))
    for split in range(options.splits):
        for data in options.data or DATA:
            for kind in ("held out", "new classes"):
                if kind == "new classes" and data not in WITH_NEW_CLASSES:
                    continue
                for method in methods:
                    too_many = method in DEEP and split >= options.deep_splits
                    if not too_many and not (kind == "new classes" and method in IN_SAMPLE_ONLY):
                        yield data, kind, split, method


class Curves(Rows):
    """The loss in each tenth of the steps of deep methods."""

    def __init__(self, name):
        super().__init__(f"{name}_curves", (*KEYS, "tenth", "loss"), len(KEYS) + 1)

    def add(self, job, curve):
        """A row for each tenth."""
        for tenth, loss in enumerate(curve, 1):
            if (*job, tenth) not in self:
                super().add(*job, tenth, f"{loss:.6g}")


class Runner:
    """Runs jobs in a process that goes on until one of them outlives its limit, or kills it."""

    def __init__(self, limit):
        self._limit, self._process = limit, None

    def __call__(self, job):
        """The row of a job, and its curve."""
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_work, args=(theirs,))
            self._process.start()
            theirs.close()
        self._pipe.send(job)
        start = time.perf_counter()
        try:
            if self._pipe.poll(self._limit):
                return self._pipe.recv()
            reason = f"stopped after {self._limit:.0f} s"
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            reason = f"the process ended with code {code}" + (" (memory?)" if code == -9 else "")
        self.stop()
        seconds = f"{time.perf_counter() - start:.1f}"
        row = dict(zip(KEYS, job, strict=True)) | {"seconds": seconds, "note": reason}
        return row | {"versions": versions()}, []

    def stop(self):
        """End the process, and those that it has started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.join()
            self._process = None


_loaded = lru_cache(load)


def _work(pipe):
    os.setsid()  # a group of its own, to be ended as one
    warnings.simplefilter("ignore")
    while True:
        pipe.send(run(*pipe.recv()))


def run(data, kind, split, method):
    """One method on one split: its row, and the curve of a deep method."""
    loaded = _loaded(data)
    if loaded is None:
        return None, []
    tensor, labels = loaded
    unseen = kind == "new classes"
    fit, new = split_samples(labels, split, unseen)
    one = competitors(len(fit), tensor[0].size, unseen)[method]
    table = compare(
        tensor,
        labels,
        {method: one},
        cv=[(fit, new)],
        unseen_classes=unseen,
        random_state=split,
    )
    (found,) = table.attrs["splits"]
    row = dict(zip(KEYS, (data, kind, split, method), strict=True))
    for name in (*FIGURES, *IN_SAMPLE):
        value = found.get(name, np.nan)
        row[name] = "" if np.isnan(value) else f"{value:.4f}"
    row |= {name: found.get(name, "") for name in ("n_components", "n_fit", "n_test")}
    row["seconds"] = f"{found['seconds']:.1f}" if "seconds" in found else ""
    row |= {"settings": getattr(one, "chosen", ""), "note": found["note"], "versions": versions()}
    return row, one.curve if isinstance(one, Trained) else []


@lru_cache
def versions():
    """Of what a figure hangs on."""
    return " ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)


if __name__ == "__main__":
    main()
