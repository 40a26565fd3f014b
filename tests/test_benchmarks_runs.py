"""The programs of the benchmarks: rows, runs that go on where they stopped, `make paper`."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import warnings
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

HERE = Path(__file__).parent.parent
FIELDS = ("job", "seconds", "note", "versions")


def behave(name):
    """A job that does as it is called."""
    if name == "does not converge":
        warnings.warn("stopped too early", ConvergenceWarning, stacklevel=1)
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
def test_whatever_becomes_of_a_job_it_becomes_a_row_and_the_others_go_on(
    benchmark_module, monkeypatch
):
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process keeps its own
    rows = benchmark_module("_rows").Rows("jobs", FIELDS, 1)
    names = ["works", "takes long", "does not converge", "is killed", "raises", "has no data"]
    options = Namespace(again=False, limit=40, workers=1)
    runner = benchmark_module("_runner")
    monkeypatch.setattr(runner, "_versions", lambda: "of this process")
    runner.run_missing(rows, [(name,) for name in names], behave, options)
    table = rows.table().set_index("job")
    from_here = table.index[table["versions"] == "of this process"]
    assert set(from_here) == {"takes long", "is killed"}  # others say what they were run by
    notes = table["note"].fillna("").to_dict()
    assert notes == {
        "works": "",
        "takes long": "stopped after 40 s",
        "does not converge": "did not converge",
        "is killed": "the process ended with code -9 (memory?)",
        "raises": "ValueError: on purpose",
    }


def test_a_run_that_was_interrupted_is_completed_by_the_next(benchmark_module, tmp_path):
    Rows = benchmark_module("_rows").Rows
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


def test_runs_beside_one_another_write_a_row_once(benchmark_module, tmp_path):
    one, other = (benchmark_module("_rows").Rows("table", ("data", "figure"), 1) for _ in range(2))
    one.add("faces", 0.5)
    other.add("faces", 0.25)
    other.add("digits", "in\ntwo lines")
    assert (tmp_path / "table.csv").read_text() == "data,figure\nfaces,0.5\ndigits,in two lines\n"


def test_forgetting_rows_that_is_interrupted_loses_none(benchmark_module, tmp_path, monkeypatch):
    rows = benchmark_module("_rows").Rows("table", ("data", "figure"), 1)
    rows.add("faces", 0.5)
    rows.add("digits", 0.25)
    whole = (tmp_path / "table.csv").read_text()

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", interrupted)
        rows.drop(lambda row: row["data"] == "faces")
    assert (tmp_path / "table.csv").read_text() == whole
    rows.drop(lambda row: row["data"] == "faces")
    assert (tmp_path / "table.csv").read_text() == "data,figure\ndigits,0.25\n"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_run_that_waits_while_another_forgets_rows_adds_to_what_is_left(
    benchmark_module, tmp_path, monkeypatch
):
    module = benchmark_module("_rows")
    one, other = (module.Rows("table", ("data", "figure"), 1) for _ in range(2))
    one.add("faces", 0.5)
    lock, waited = module.fcntl.flock, []

    def wait_for_the_other(file, operation):
        if not waited:
            waited.append(True)
            other.drop(lambda row: True)
        lock(file, operation)

    monkeypatch.setattr(module.fcntl, "flock", wait_for_the_other)
    one.add("digits", 0.25)
    assert waited
    assert (tmp_path / "table.csv").read_text() == "data,figure\ndigits,0.25\n"


def test_both_ways_to_compare_a_fit_say_that_it_did_not_converge(benchmark_module, monkeypatch):
    verification = benchmark_module("verification")
    tensor, labels = np.random.default_rng(0).normal(size=(24, 5)), np.repeat(np.arange(6), 4)

    def method(samples, labels, new, random_state):
        warnings.warn("on purpose", ConvergenceWarning, stacklevel=1)
        return samples, new

    monkeypatch.setattr(verification, "loaded", lambda data: (tensor, labels))
    monkeypatch.setattr(verification, "competitors", lambda *_: {"ours": method})
    verification.embedded.cache_clear()
    watch = benchmark_module("_runner")._watched
    names = ("ours", verification.SIMILARITY)
    found = {name: watch(verification.run, ("faces", 0, name))[0] for name in names}
    assert [row["note"] for row in found.values()] == ["did not converge"] * 2
    assert found["ours"]["seconds"] == found[verification.SIMILARITY]["seconds"]
    assert found["ours"]["auc"] != found[verification.SIMILARITY]["auc"]
    assert {(row["n_fit"], row["n_test"], row["n_pairs"]) for row in found.values()} == {
        (12, 12, 66)
    }
    verification.embedded.cache_clear()


def test_what_failed_of_what_is_asked_for_is_run_again(benchmark_module, monkeypatch):
    """What has figures has not failed, and what is not asked for stays."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process keeps its own
    runner = benchmark_module("_runner")
    rows = benchmark_module("_rows").Rows("jobs", ("job", "auc", "note", "versions"), 1)
    options = Namespace(again=True, limit=60, workers=1)
    runner.run_missing(rows, [], behave, options)  # of a table that is not there yet
    rows.add("failed", "", "TypeError: of something", "")
    rows.add("remarked", "0.9", "did not converge", "")
    rows.add("another failed", "", "ValueError: of something", "")
    runner.run_missing(rows, [], behave, options)  # nothing is asked for
    runner.run_missing(rows, [("failed",), ("remarked",)], behave, options)
    notes = rows.table().set_index("job")["note"].fillna("").to_dict()
    assert notes == {
        "remarked": "did not converge",
        "another failed": "ValueError: of something",
        "failed": "",
    }


def test_what_has_failed_is_counted_where_it_is_not_run_again(
    benchmark_module, monkeypatch, capsys
):
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process keeps its own
    runner = benchmark_module("_runner")
    rows = benchmark_module("_rows").Rows("jobs", ("job", "auc", "note", "versions"), 1)
    options = Namespace(again=False, limit=60, workers=1)
    runner.run_missing(rows, [], behave, options)
    assert not rows.path.exists()
    rows.add("failed", "", "stopped after 1 s", "")
    rows.add("remarked", "0.9", "did not converge", "")
    rows.add("not asked for", "", "stopped after 1 s", "")
    runner.run_missing(rows, iter([("failed",), ("remarked",)]), behave, options)
    said = capsys.readouterr().out
    assert said == (
        "1 of these failed before, as their notes say: --again runs them again\n"
        "2 of 2 rows are there\n"
    )


def test_a_table_of_another_benchmark_is_refused(benchmark_module, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["paper.py", "digits", "--methods", "raw", "--name", "other"])
    benchmark_module("_rows").Rows("other", ("job", "auc"), 1).add("one", 0.5)
    with pytest.raises(SystemExit, match="2"):
        benchmark_module("paper").main()
    assert "other.csv has the columns ['job', 'auc'], not" in capsys.readouterr().err


def test_a_report_of_a_table_of_another_benchmark_is_refused(
    benchmark_module, monkeypatch, capsys, tmp_path
):
    benchmark_module("_rows").Rows("other", ("job", "auc"), 1).add("one", 0.5)
    report = benchmark_module("report")
    arguments = ["--paper", "other", "--results", str(tmp_path), "--to", str(tmp_path / "to")]
    monkeypatch.setattr(sys, "argv", ["report.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        report.main()
    assert "no table of paper.py: it has no data, kind, method and split" in capsys.readouterr().err
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"no archive", "is not an .npz file"),
        ({"y": np.arange(3)}, "has ['y'], but no X"),
        ({"X": np.zeros((4, 2, 2)), "y": np.arange(3)}, "X, y have the lengths [3, 4]"),
    ],
    ids=["missing", "another format", "no samples", "unequal"],
)
def test_a_file_that_cannot_be_used_leaves_the_data_out_and_is_named(
    benchmark_module, monkeypatch, capsys, tmp_path, content, said
):
    path = tmp_path / "faces.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.savez(path, **content)
    monkeypatch.setenv("LFW70", str(path))
    assert benchmark_module("_data").load("lfw") is None
    printed = capsys.readouterr().out
    assert printed.startswith("lfw: skipped. ")
    assert said in printed and str(path) in printed


def test_a_file_of_ones_own_is_read(benchmark_module, monkeypatch, tmp_path):
    path = tmp_path / "brains.npz"
    np.savez(path, X=np.zeros((4, 2, 2)), y=np.arange(4), site=np.zeros(4))
    monkeypatch.setenv("ABIDE100", str(path))
    tensor, labels = benchmark_module("_data").load("abide")
    assert tensor.shape == (4, 2, 2) and tensor.dtype == np.float32
    assert labels.tolist() == [0, 1, 2, 3]


def test_without_what_they_need_the_benchmarks_say_what_to_install(benchmark_module, monkeypatch):
    benchmark_module("_rows")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "_extra")
    with pytest.raises(
        SystemExit, match=r'need pandas and matplotlib: pip install -e "\.\[paper\]"'
    ):
        benchmark_module("_extra")


def test_of_a_job_that_is_run_again_the_curve_is_another(benchmark_module):
    curves = benchmark_module("_rows").Rows("curves", ("data", "split", "tenth", "loss"), 3)
    curves.replace(("faces", 1), [(1, 0.5), (2, 0.25)])
    curves.replace(("faces", 10), [(1, 0.75)])
    curves.replace(("faces", 1), [(1, 0.125)])
    table = curves.table()
    assert table["split"].tolist() == [10, 1]
    assert table["loss"].tolist() == [0.75, 0.125]
    assert ("faces", 1, 1) in curves and ("faces", 1, 2) not in curves


@pytest.mark.parametrize("text", ["0", "-1"])
def test_numbers_that_ask_for_nothing_are_refused(benchmark_module, monkeypatch, capsys, text):
    monkeypatch.setattr(sys, "argv", ["paper.py", "digits", "--workers", text])
    with pytest.raises(SystemExit):
        benchmark_module("paper").main()
    assert f"--workers: must be 1 or more, got {text}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("program", "given", "said"),
    [
        ("held_out", "fo", "'fo' is not one of 'digits'"),
        ("held_out", "digits convolution", "'convolution' is not one of 'auto'"),
        ("held_out", "digits --splits 0", "--splits: must be 1 or more, got 0"),
        ("paper", "galaxies --methods our", "'our' is not one of 'raw'"),
        ("scarcity", "fo", "'galaxies, paper'"),
        ("paper", "digits --name ../mine", "must be a name without a folder, got '../mine'"),
        ("verification", "--name .mine", "must be a name without a folder, got '.mine'"),
        ("verification", "olivetti --methods VAE", "'VAE' is not one of 'ours, by similarity'"),
        ("labels", "few --data fo", "'fo' is not one of 'digits'"),
        ("labels", "few --each 0", "--each must be 1 or more for `few`, got 0"),
        ("labels", "unequal --each -1", "--each: must be 0 or more, got -1"),
        ("missing", "classes --data kinetic", "kinetic has no classes"),
        ("ablation", "--data digits fo", "'fo' is not one of 'digits'"),
        ("simulated", "fo", "'fo' is not one of 'galaxies'"),
        ("cut", "digits", "must be DATA:ENCODER, got 'digits'"),
        ("real_counts", "digits:fo", "'fo' is not one of 'auto'"),
        ("encoder_choice", "", "name data sets, or --moves"),
        ("patience", "digits --first -1", "--first: must be 0 or more, got -1"),
    ],
)
def test_what_is_not_there_is_refused_before_any_work(
    benchmark_module, monkeypatch, capsys, program, given, said
):
    monkeypatch.setattr(sys, "argv", [f"{program}.py", *given.split()])
    with pytest.raises(SystemExit, match="2"):
        benchmark_module(program).main()
    assert said in capsys.readouterr().err


def test_help_shows_the_text_as_it_stands_and_the_defaults(benchmark_module, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["paper.py", "--help"])
    paper = benchmark_module("paper")
    with pytest.raises(SystemExit, match="0"):
        paper.main()
    said = capsys.readouterr().out
    assert paper.__doc__.strip() in said
    assert "(default: 10)" in said
    assert "None" not in said


@pytest.mark.parametrize("options", [["digits", "--apart"], ["pines", "--apart", "--unseen"]])
def test_only_patches_of_a_field_are_kept_apart(benchmark_module, monkeypatch, capsys, options):
    monkeypatch.setattr(sys, "argv", ["held_out.py", *options])
    with pytest.raises(SystemExit):
        benchmark_module("held_out").main()
    assert "--apart is for pines" in capsys.readouterr().err


def test_names_of_columns_may_have_commas(benchmark_module):
    rows = benchmark_module("_rows").Rows("table", ("data", "ours, linear"), 1)
    rows.add("faces", 0.5)
    rows.add("digits", 0.7)
    assert rows.table()["ours, linear"].tolist() == [0.5, 0.7]


def test_a_table_of_other_columns_is_not_added_to(benchmark_module, tmp_path):
    benchmark_module("_rows").Rows("table", ("data", "figure"), 1).add("faces", 0.5)
    with pytest.raises(ValueError, match=r"table\.csv has the columns \['data', 'figure'\]"):
        benchmark_module("_rows").Rows("table", ("data", "other"), 1)


def test_methods_are_asked_for_where_they_are_of_use(benchmark_module):
    paper = benchmark_module("paper")
    options = Namespace(methods=None, splits=1, deep_splits=1, data=["digits"], kinds=paper.KINDS)
    kinds = {}
    for _, kind, _, method in paper.jobs(options):
        kinds.setdefault(method, set()).add(kind)
    assert kinds.pop("t-SNE") == {"held out"}  # has no way to embed others
    assert kinds.pop("ours, spread") == {"new classes"}
    assert all(kind == set(paper.KINDS) for kind in kinds.values())


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_paper_asks_for_two_splits_of_data_and_methods_that_there_are(
    benchmark_module, monkeypatch
):
    printed = subprocess.run(
        ["make", "--dry-run", "paper"], cwd=HERE, capture_output=True, text=True, check=True
    ).stdout
    commands = [shlex.split(line) for line in printed.splitlines() if "/paper.py" in line]
    asked = []
    monkeypatch.setattr(
        benchmark_module("paper"), "run_missing", lambda rows, jobs, *_: asked.extend(jobs)
    )
    for command in commands:
        (program,) = [place for place, word in enumerate(command) if word.endswith("/paper.py")]
        monkeypatch.setattr(sys, "argv", command[program:])
        benchmark_module("paper").main()
    assert {(kind, split) for _, kind, split, _ in asked} == {("held out", 0), ("held out", 1)}
    assert {"digits", "olivetti", "lfw", "pines"} <= {data for data, *_ in asked}
    assert {"ours", "LDA"} <= {job[-1] for job in asked if job[0] == "olivetti"}
    assert {"CNN", "transformer"} <= {job[-1] for job in asked if job[0] == "digits"}
