"""Methods on splits, each in a process that can be stopped, as rows of a table that grows."""

import contextlib
import hashlib
import importlib.metadata
import multiprocessing
import os
import signal
import sys
import time
import warnings
from functools import lru_cache
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
from _data import load
from sklearn.exceptions import ConvergenceWarning

import tensorly_norank
from tensorly_norank.evaluation import compare

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
FIELDS = (
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
_SHOW_SUCCESS = {*FIGURES, *IN_SAMPLE, "auc", "balanced_accuracy", "significant"}
_PACKAGES = (
    "tensorly-norank",
    "tensorly",
    "torch",
    "scikit-learn",
    "numpy",
    "scipy",
    "umap-learn",
    "pytorch-metric-learning",
)

loaded = lru_cache(load)


def run_missing(rows, jobs, function, options, curves=None):
    """Append a row for each job that has none yet.

    Parameters
    ----------
    rows : Rows
        Their fields are the keys of a job, and then such as `FIELDS`.
    jobs : iterable of tuple
        What `function` is called with; the leading fields of a row.
    function : callable
        Of a module. Returns a dict with what it knows of these fields, and a curve, of losses for
        example; or None where the data are not at hand.
    options : Namespace
        Those of `add_options`: seconds after which a job is stopped, how many run at a time, each
        in its process of one thread, and whether what failed is run again.
    curves : Rows, optional
        Its fields are the keys of a job, and then those of the points of a curve.
    """
    _versions()  # of the code that is run, before anybody changes it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # else processes would be left behind
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the processes
    jobs = list(jobs)
    asked = {tuple(map(str, job)) for job in jobs}

    def failed_before(row):
        return has_failed(row) and tuple(row.values())[: rows.n_keys] in asked

    if options.again:
        rows.drop(failed_before)
    elif n_failed := rows.count(failed_before):
        print(f"{n_failed} of these failed before, as their notes say: --again runs them again")
    if n_done := sum(job in rows for job in jobs):
        print(f"{n_done} of {len(jobs)} rows are there", flush=True)
    left = (job for job in jobs if job not in rows)
    workers = [_Worker(function, options.limit) for _ in range(options.workers)]
    busy = []
    try:
        while True:
            for worker in workers:
                if worker not in busy and (job := next(left, None)) is not None:
                    worker.start(job)
                    busy.append(worker)
            if not busy:
                return
            wait([worker.pipe for worker in busy], timeout=1)
            for worker in [worker for worker in busy if worker.is_done()]:
                busy.remove(worker)
                found = worker.result()
                if found is not None:
                    _add(rows, worker.job, *found, curves)
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command goes on where this stopped")
    finally:
        for worker in workers:
            worker.stop()


def has_failed(row):
    """Whether a row has a note and no figures; with figures, the note is a remark on these."""
    return bool(row["note"]) and not any(row[name] for name in row if name in _SHOW_SUCCESS)


def _add(rows, job, row, curve, curves):
    row = {"versions": _versions(), "note": ""} | row
    if curves is not None:
        curves.replace(job, curve)  # first: with its row a job counts as done
    rows.add(*job, *[row.get(name, "") for name in rows.fields[len(job) :]])
    print(*job, row["note"] or f"{row.get('seconds', '')} s", sep=", ", flush=True)


def score_split(tensor, labels, method, fit, new, seed, unseen_classes=False):
    """One method on one split by `compare`: what is known of `FIELDS`, and the losses."""
    table = compare(
        tensor,
        labels,
        {"method": method},
        cv=[(fit, new)],
        unseen_classes=unseen_classes,
        random_state=seed,
    )
    (found,) = table.attrs["splits"]
    row = {name: found.get(name, "") for name in ("n_components", "n_fit", "n_test", "note")}
    for name in (*FIGURES, *IN_SAMPLE):
        value = found.get(name, np.nan)
        row[name] = "" if np.isnan(value) else f"{value:.4f}"
    if "seconds" in found:
        row["seconds"] = f"{found['seconds'] + getattr(method, 'seconds_before', 0.0):.1f}"
    row["settings"] = getattr(method, "chosen", "")
    curve = [(tenth, f"{loss:.6g}") for tenth, loss in enumerate(getattr(method, "curve", []), 1)]
    return row, curve


class _Worker:
    """Calls a function in a process that goes on until a job outlives its limit, or kills it."""

    def __init__(self, function, limit):
        self._function, self._limit, self._process = function, limit, None

    def start(self, job):
        """Begin with a job."""
        if self._process is None or not self._process.is_alive():
            context = multiprocessing.get_context("spawn")
            self.pipe, theirs = context.Pipe()
            self._process = context.Process(target=_work, args=(theirs, self._function))
            self._process.start()
            theirs.close()
        self.job, self._begin = job, time.perf_counter()
        self.pipe.send(job)

    def is_done(self):
        """Whether there is a result, or there will be none."""
        return self.pipe.poll() or time.perf_counter() - self._begin > self._limit

    def result(self):
        """What the function has returned; a row that says why, where it has not."""
        try:
            if self.pipe.poll():
                return self.pipe.recv()
            reason = f"stopped after {self._limit:.0f} s"
        except (EOFError, ConnectionError):
            self._process.join()
            code = self._process.exitcode
            reason = f"the process ended with code {code}" + (" (memory?)" if code == -9 else "")
        self.stop()
        return {"seconds": f"{time.perf_counter() - self._begin:.1f}", "note": reason}, []

    def stop(self):
        """End the process, and those that it has started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()  # where it has not come as far as to have a group
            self._process.join()
            self._process = None


def _work(pipe, function):
    os.setsid()  # a group of its own, to be ended as one
    versions = _versions()  # of what this process has just read
    with contextlib.suppress(EOFError, BrokenPipeError):  # nobody asks any more
        while True:
            found = _watched(function, pipe.recv())
            pipe.send(found and ({"versions": versions} | found[0], found[1]))


def _watched(function, job):
    """What the function returns; what failed or did not converge says so in the note."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = function(*job)
        except Exception as error:  # whatever it is, the other jobs go on
            found = {"note": f"{type(error).__name__}: {error}"}, []
    if found is not None and any(issubclass(one.category, ConvergenceWarning) for one in caught):
        row, curve = found
        notes = [note for note in (row.get("note"), "did not converge") if note]
        found = row | {"note": "; ".join(notes)}, curve
    return found


@lru_cache
def _versions():
    numbers = " ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    code = hashlib.sha256()
    package, here = Path(tensorly_norank.__file__).parent, Path(__file__).parent.resolve()
    files = {getattr(module, "__file__", None) or "" for module in sys.modules.values()}
    own = [path for path in map(Path, files) if path.parent.resolve() == here and path.is_file()]
    for path in (*sorted(package.rglob("*.py")), *sorted(own)):
        code.update(path.read_bytes())
    return f"{numbers} code {code.hexdigest()[:8]}"


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
