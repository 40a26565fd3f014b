"""What the benchmarks' tables and the page made of them rest on."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas
import pytest
import tensorly as tl
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NeighborhoodComponentsAnalysis

from tensorly_norank.evaluation import compare

HERE = Path(__file__).parent.parent
BENCHMARKS = HERE / "benchmarks"
FIELDS = ("job", "seconds", "note", "versions")


@pytest.fixture
def module(monkeypatch, tmp_path):
    """Imports a module of the benchmarks, whose tables are in a folder of the test."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    tl.set_backend("numpy")  # which they run on

    def load(name):
        monkeypatch.setattr("_rows.RESULTS", tmp_path)
        return __import__(name)

    return load


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


def test_runs_beside_one_another_write_a_row_once(module, tmp_path):
    one, other = (module("_rows").Rows("table", ("data", "figure"), 1) for _ in range(2))
    one.add("faces", 0.5)
    other.add("faces", 0.25)
    other.add("digits", "in\ntwo lines")
    assert (tmp_path / "table.csv").read_text() == "data,figure\nfaces,0.5\ndigits,in two lines\n"


def test_rows_with_a_note_are_run_again_if_asked_for(module):
    rows = module("_rows").Rows("jobs", FIELDS, 1)
    rows.drop_noted()  # of a table that is not there yet
    rows.add("failed", "1.0", "TypeError: of something", "")
    rows.add("done", "1.0", "", "")
    rows.drop_noted()
    assert ("failed",) not in rows and ("done",) in rows
    again = module("_rows").Rows("jobs", FIELDS, 1)
    assert ("failed",) not in again and ("done",) in again
    again.add("failed", "2.0", "", "")
    assert again.table()["job"].tolist() == ["done", "failed"]


@pytest.mark.parametrize("text", ["0", "-1"])
def test_numbers_that_ask_for_nothing_are_refused(module, monkeypatch, capsys, text):
    monkeypatch.setattr(sys, "argv", ["paper.py", "digits", "--workers", text])
    with pytest.raises(SystemExit):
        module("paper").main()
    assert f"--workers: must be 1 or more, got {text}" in capsys.readouterr().err


def test_the_report_of_rows_that_all_failed_says_so(module, tmp_path):
    fields = (*module("paper").KEYS, *module("_runner").FIELDS)
    rows = pandas.DataFrame([dict.fromkeys(fields, np.nan)] * 2, dtype=object)
    rows[["data", "kind", "split"]] = ["digits", "held out", 0]
    rows["method"], rows["note"], rows["versions"] = ["ours", "raw"], "stopped after 1 s", "none"
    report = module("report")
    for source, part in report.PARTS.values():
        if source == "paper":
            part(rows, tmp_path)
    assert "- raw, 1 of 1 rows: stopped after 1 s" in report.what_was_run(rows, tmp_path)


def test_names_of_columns_may_have_commas(module):
    rows = module("_rows").Rows("table", ("data", "ours, linear"), 1)
    rows.add("faces", 0.5)
    rows.add("digits", 0.7)
    assert rows.table()["ours, linear"].tolist() == [0.5, 0.7]


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


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_paper_asks_for_two_splits_of_data_and_methods_that_there_are(module, monkeypatch):
    printed = subprocess.run(
        ["make", "--dry-run", "paper"], cwd=HERE, capture_output=True, text=True, check=True
    ).stdout
    commands = [shlex.split(line) for line in printed.splitlines() if "/paper.py" in line]
    asked = []
    monkeypatch.setattr(module("paper"), "run_missing", lambda rows, jobs, *_: asked.extend(jobs))
    for command in commands:
        (program,) = [place for place, word in enumerate(command) if word.endswith("/paper.py")]
        monkeypatch.setattr(sys, "argv", command[program:])
        module("paper").main()
    assert {(kind, split) for _, kind, split, _ in asked} == {("held out", 0), ("held out", 1)}
    assert {"digits", "olivetti", "lfw", "pines"} <= {data for data, *_ in asked}
    assert {"ours", "LDA"} <= {job[-1] for job in asked if job[0] == "olivetti"}
    assert {"CNN", "transformer"} <= {job[-1] for job in asked if job[0] == "digits"}


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


@pytest.mark.parametrize("n_each", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("n_classes", [2, 3, 4, 5, 7, 20])
@pytest.mark.parametrize("unseen", [False, True])
def test_a_search_leaves_classes_to_fit_and_classes_to_score(module, n_classes, n_each, unseen):
    labels = np.repeat(np.arange(n_classes), n_each)
    fit, left = module("_competitors").a_fifth(labels, 0, unseen)
    np.testing.assert_array_equal(np.sort(np.r_[fit, left]), np.arange(len(labels)))
    assert min(len(np.unique(labels[part])) for part in (fit, left)) >= min(2, len(labels) // 2)
    if unseen and n_classes > 3:
        assert not set(labels[fit]) & set(labels[left])
    elif n_each > 1:
        assert set(labels[fit]) == set(labels[left])


def _shown(strength):
    """A method that shows the first entry so plainly, beside noise; of None, none."""

    def method(fit_samples, fit_labels, new_samples, random_state):
        if strength is None:
            raise ValueError("too few samples")
        rng = np.random.default_rng(random_state)
        return [
            np.c_[strength * part[:, 0, 0], rng.normal(size=len(part))]
            for part in (fit_samples, new_samples)
        ]

    return method


def test_a_search_takes_what_separates_samples_that_were_left_out(module):
    labels = np.repeat(np.arange(3), 10)
    samples = np.tile(labels[:, None, None].astype(float), (1, 2, 2))
    Searched = module("_competitors").Searched
    candidates = {"fails": _shown(None), "weak": _shown(0.1), "strong": _shown(20.0)}
    found = Searched(candidates)
    found(samples, labels, samples, 0)
    assert found.chosen == "strong"
    undecided = Searched({"default": _shown(1.0), "other": _shown(1.0)})
    undecided(samples, labels, samples, 0)
    assert undecided.chosen == "default"
    with pytest.raises(ValueError, match="too few samples"):
        Searched({"a": _shown(None), "b": _shown(None)})(samples, labels, samples, 0)


def test_patches_of_the_pines_that_are_scored_share_no_pixel_with_fitted_ones(module):
    held_out = module("held_out")
    rng = np.random.default_rng(0)
    positions, labels = rng.integers(0, 145, (600, 2)), rng.integers(0, 3, 600)
    fit, new = held_out.split_apart(labels, positions, 0)
    steps = np.abs(positions[fit][:, None] - positions[new]).max(axis=2)
    assert len(fit) > 100
    assert len(new) > 50
    assert steps.min() >= 5


def _rows_of(figures, n_fit=50, n_test=50):
    return pandas.DataFrame(
        [
            {"data": data, "split": split, "method": method, "silhouette": figure}
            | {"n_fit": n_fit, "n_test": n_test}
            for (data, method), own in figures.items()
            for split, figure in enumerate(own)
        ]
    )


def test_methods_are_compared_on_the_splits_that_they_share(module):
    """Of a method with one split nothing is said, nor of data on which there is no other."""
    figures = {
        ("faces", "ours"): [0.5, 0.5, 0.2],
        ("faces", "LDA"): [0.3, 0.4],
        ("faces", "CNN"): [0.9],
        ("digits", "ours"): [0.5, 0.6],
    }
    found = module("_report").against_the_best(
        _rows_of(figures), "silhouette", "ours", ("LDA", "CNN")
    )
    assert list(found.index) == ["faces"]
    row = found.loc["faces"]
    assert (row["best"], row["n_splits"]) == ("LDA", 2)
    assert (row["mean"], row["difference"]) == pytest.approx((0.5, 0.15))


def test_words_say_ahead_level_behind_and_what_is_sure(module):
    table = pandas.DataFrame(
        {
            "difference": [0.2, 0.1, 0.3, -0.25, 0.0001],
            "p_value": [0.001, 0.2, 0.001, 0.001, 0.9],
            "n_splits": [5, 5, 2, 5, 5],
        },
        index=["olivetti", "lfw", "digits", "pines", "serology"],
    )
    assert module("_verdict")._in_words("silhouette", table) == (
        "In silhouette, of 4 of the six ours is ahead on 3 (olivetti, lfw and digits), "
        "significantly on 1 (olivetti; by Holm's method for 4 comparisons 1); "
        "behind on pines by 0.250 (p = 0.001). "
        "Of 1 of the others ours is ahead on none; level on serology.\n\n"
    )


def test_standard_errors_are_those_of_the_corrected_test(module):
    figures = pandas.Series([0.1, 0.3, 0.2, 0.4])
    say = module("_report").mean_and_error
    assert say(figures) == f"0.250 ± {figures.std() / 2:.3f}"
    assert say(figures, test_to_fit=1.0) == f"0.250 ± {figures.std() * np.sqrt(1.25):.3f}"
    assert say(figures[:1]) == "0.100"
    assert say(figures[:0]) == "–"


def test_only_methods_with_every_split_are_bold_and_all_of_those_that_tie(module):
    figures = {
        ("faces", "ours"): [0.5, 0.5],
        ("faces", "LDA"): [0.5, 0.5],
        ("faces", "raw"): [0.1, 0.2],
        ("faces", "CNN"): [0.9],
    }
    table = module("_report").methods_by_data(
        _rows_of(figures), "silhouette", ("raw", "LDA", "CNN", "ours"), ("faces",)
    )
    bold = {line.split(",")[0].strip().strip('"') for line in table.splitlines() if "**" in line}
    assert bold == {"ours", "LDA"}


def test_labels_are_permuted_within_sites(module):
    connectivity = module("connectivity")
    rng = np.random.default_rng(0)
    labels, sites = rng.integers(0, 2, 60), np.repeat([0, 1, 2], 20)
    permuted = connectivity.permuted_within(labels, sites, rng)
    assert (permuted != labels).any()
    for site in range(3):
        own = sites == site
        np.testing.assert_array_equal(np.sort(permuted[own]), np.sort(labels[own]))


def test_slices_of_the_t_svd_span_what_was_fitted(module):
    """With as many as there are, products of samples are those of the samples themselves."""
    rng = np.random.default_rng(0)
    samples, new = rng.normal(size=(30, 4, 6)), rng.normal(size=(7, 4, 6))
    fitted, embedded = module("_competitors")._t_svd(samples, None, new, 0, rank=4)
    centred = [(part - samples.mean(axis=0)).reshape(len(part), -1) for part in (samples, new)]
    np.testing.assert_allclose(embedded @ fitted.T, centred[1] @ centred[0].T, atol=1e-9)


def test_clustering_pulls_codes_to_their_centres(module):
    import torch

    deep = module("_deep")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        images = torch.randn(60, 1, 8, 8) + 2 * torch.arange(3).repeat(20)[:, None, None, None]
        autoencoder = deep.Autoencoder((1, 8, 8))
        deep.train(autoencoder, images, torch.zeros(60), 30, 1e-3)
        start = deep.Clustering(autoencoder, images, 3, 0)
        clustering, losses = deep.clustered(autoencoder, images, np.arange(60) % 3, 100, 0)

    def surest(one):
        soft = one.soften(torch.from_numpy(deep.embed(one, images)))
        return float(soft.detach().max(dim=1).values.mean())

    assert surest(clustering) > surest(start)
    assert np.isfinite(losses).all()


def test_deep_methods_see_each_channel_in_its_own_units(module):
    deep = module("_deep")
    rng = np.random.default_rng(0)
    samples = 5 + rng.normal(size=(40, 8, 8, 3)) * [1.0, 1000.0, 0.0]  # the last does not vary
    images = deep.Arranged(samples)(samples).numpy()
    assert images.shape == (40, 3, 8, 8)
    np.testing.assert_allclose(images.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose((images**2).mean(axis=(0, 2, 3)), [1, 1, 0], atol=1e-5)


def test_crossings_name_the_numbers_of_samples(module):
    figures = {"ours": [0.4, 0.8, 0.9], "LDA": [0.5, 0.8, 0.7], "raw": [0.1, 0.2, 0.3]}
    rows = pandas.DataFrame(
        [
            {"data": "faces", "each": each, "split": split, "method": method, "knn_accuracy": value}
            for method, values in figures.items()
            for each, value in zip((2, 5, 10), values, strict=True)
            for split in (0, 1)
        ]
    )
    say = module("report")._crossings
    assert say(rows, ["faces"], "ours", "LDA") == "faces, ahead at 10, behind at 2, level at 5"
    assert say(rows, ["faces"], "ours", "raw") == "faces, ahead at 2, 5 and 10"
    assert say(rows, ["faces"], "raw", "LDA") == "faces, behind at 2, 5 and 10"
    noise = [0.4, -0.4] + [0] * (len(rows) - 2)  # of ours at 2
    noisy = rows.assign(knn_accuracy=rows["knn_accuracy"] + noise)
    few = noisy[(noisy["each"] > 5) | (noisy["method"] != "LDA")]
    assert say(few, ["faces"], "ours", "LDA") == "faces, ahead at 10, not compared at 2 and 5"
    assert say(noisy, ["faces"], "ours", "raw") == "faces, ahead at 5 and 10, level at 2"


def test_p_values_are_corrected_by_holms_method(module):
    p_values = pandas.Series([0.04, 0.01, np.nan, 0.02], index=list("abcd"))
    corrected = module("_verdict")._by_holm(p_values)
    assert corrected[list("abcd")].tolist() == pytest.approx([0.08, 0.04, 1.0, 0.06])


def test_few_samples_are_drawn_of_the_classes_that_a_half_has(module, monkeypatch):
    """Of Indian Pines a half lacks some: the others are fitted, and the rank is theirs."""
    scarcity = module("scarcity")
    labels = np.repeat(np.arange(4), 6)
    half, new = np.flatnonzero((labels < 3) & (np.arange(24) % 2 == 0)), np.arange(1, 24, 2)
    monkeypatch.setattr(scarcity, "loaded", lambda data: (np.zeros((24, 2, 2)), labels))
    monkeypatch.setattr(scarcity, "split_of", lambda *_: (half, new))
    fitted = []
    monkeypatch.setattr(scarcity, "score_split", lambda *args: fitted.append(args[2:4]))
    scarcity.run("pines", 2, 0, "ours, rank given")
    ((method, rows),) = fitted
    assert np.bincount(labels[rows]).tolist() == [2, 2, 2]
    assert method.keywords == {"rank": 2}
    row, _ = scarcity.run("pines", 4, 0, "ours, rank given")
    assert row["note"] == "a class has fewer samples"


def test_a_method_that_stopped_at_its_last_iteration_is_noted(module):
    """By the runner, though scikit-learn's NCA says so in its printed log alone."""
    runner, competitors = module("_runner"), module("_competitors")
    rng = np.random.default_rng(0)
    samples, labels = rng.normal(size=(40, 12)), np.repeat(np.arange(4), 10)

    def noted(max_iter):
        method = competitors._flat(NeighborhoodComponentsAnalysis(2, max_iter=max_iter))
        found = runner._watched(lambda: (method(samples, labels, samples, 0), ({}, []))[1], ())
        return found[0].get("note")

    assert noted(2) == "did not converge"
    assert noted(2000) is None


def test_a_search_goes_on_where_a_candidate_raises_and_says_nothing(module, recwarn):
    """UMAP raises a TypeError of its own for more components than samples."""

    def fails(fit, labels, new, random_state):
        raise TypeError("k >= N")

    def works(fit, labels, new, random_state):
        warnings.warn("of few samples", stacklevel=1)
        return fit, new

    searched = module("_competitors").Searched({"fails": fails, "works": works})
    samples = np.repeat(np.eye(3), 10, axis=0)
    searched(samples, np.repeat(np.arange(3), 10), samples, 0)
    assert searched.chosen == "works"
    warned = [one for one in recwarn if str(one.message) == "of few samples"]
    assert len(warned) == 1  # of the last fit alone
