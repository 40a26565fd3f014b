"""What the benchmarks' tables and the page made of them rest on."""

import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas
import pytest

from tensorly_norank.evaluation import compare

HERE = Path(__file__).parent.parent
BENCHMARKS = HERE / "benchmarks"
FIELDS = ("job", "seconds", "note", "versions")


@pytest.fixture
def module(monkeypatch, tmp_path):
    """Imports a module of the benchmarks, whose tables are in a folder of the test."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def load(name):
        monkeypatch.setattr("_rows.RESULTS", tmp_path)
        return __import__(name)

    return load


def behave(name):
    """A job that does as it is called."""
    if name == "does not converge":
        warnings.warn("ConvergenceWarning: not converged", stacklevel=1)
    elif name == "takes long":
        time.sleep(60)
    elif name == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif name == "raises":
        raise ValueError("on purpose")
    elif name == "has no data":
        return None
    return {"seconds": "0.1"}, []


@pytest.mark.slow
def test_whatever_becomes_of_a_job_it_becomes_a_row_and_the_others_go_on(module, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process keeps its own
    rows = module("_rows").Rows("jobs", FIELDS, 1)
    names = ["works", "takes long", "does not converge", "is killed", "raises", "has no data"]
    module("_runner").run_missing(rows, [(name,) for name in names], behave, limit=15)
    notes = rows.table().set_index("job")["note"].fillna("").to_dict()
    assert notes == {
        "works": "",
        "takes long": "stopped after 15 s",
        "does not converge": "did not converge",
        "is killed": "the process ended with code -9 (memory?)",
        "raises": "ValueError: on purpose",
    }


def test_a_run_that_was_interrupted_is_completed_by_the_next(module, tmp_path):
    Rows = module("_rows").Rows
    rows = Rows("table", ("data", "split", "figure"), 2)
    rows.add("faces", 0, 0.5)
    rows.add("faces", 1, 0.25)
    whole = (tmp_path / "table.csv").read_text()
    for length in range(len(whole) + 1):
        (tmp_path / "table.csv").write_text(whole[:length])
        again = Rows("table", ("data", "split", "figure"), 2)
        for split, figure in enumerate((0.5, 0.25)):
            if ("faces", split) not in again:
                again.add("faces", split, figure)
        assert (tmp_path / "table.csv").read_text() == whole


def test_a_table_of_other_columns_is_not_added_to(module, tmp_path):
    module("_rows").Rows("table", ("data", "figure"), 1).add("faces", 0.5)
    with pytest.raises(ValueError, match=r"table\.csv has the columns \['data', 'figure'\]"):
        module("_rows").Rows("table", ("data", "other"), 1)


def test_the_report_compares_as_compare_does(module):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 16)
    tensor = rng.normal(size=(48, 4, 3)) + labels[:, None, None]

    def scaled(scale):
        def method(samples, labels, new, random_state):
            weights = np.random.default_rng(random_state).uniform(1, scale, 12)
            return [part.reshape(len(part), -1) * weights for part in (samples, new)]

        return method

    methods = {"ours": scaled(1), "LDA": scaled(40), "raw": scaled(1000)}
    table = compare(tensor, labels, methods, cv=4, random_state=0)
    rows = pandas.DataFrame(table.attrs["splits"]).assign(data="planted")
    found = module("_report").against_the_best(rows, "silhouette", "ours", ("LDA", "raw"))
    row, expected = found.loc["planted"], table.loc["silhouette"]
    assert row["n_splits"] == 4
    assert row["best"] == expected.loc["ours", "best_other"]
    assert row["best_mean"] == pytest.approx(expected.loc[row["best"], "mean"])
    for name in ("mean", "difference", "p_value"):
        assert row[name] == pytest.approx(expected.loc["ours", name])


@pytest.mark.slow
def test_the_page_has_every_part_that_it_includes(tmp_path):
    report = [sys.executable, BENCHMARKS / "report.py", "--to", tmp_path]
    subprocess.run(report, check=True, capture_output=True)
    page = (HERE / "doc" / "user_guide" / "paper.rst").read_text(encoding="utf-8")
    included = set(re.findall(r"include:: \.\./paper/(\w+\.inc)", page))
    assert included == {path.name for path in tmp_path.glob("*.inc")}
    for part in tmp_path.glob("*.inc"):
        for image in re.findall(r"image:: /paper/(\w+\.png)", part.read_text(encoding="utf-8")):
            assert (tmp_path / image).stat().st_size > 0
