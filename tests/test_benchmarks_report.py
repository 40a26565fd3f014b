"""The tables and sentences that the page is made of."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

from tensorly_norank.evaluation import compare, corrected_resampled_t_test

HERE = Path(__file__).parent.parent
BENCHMARKS = HERE / "benchmarks"


def _rows_of(figures, n_fit=50, n_test=50):
    return pandas.DataFrame(
        [
            {"data": data, "split": split, "method": method, "silhouette": figure}
            | {"n_fit": n_fit, "n_test": n_test}
            for (data, method), own in figures.items()
            for split, figure in enumerate(own)
        ]
    )


def test_the_report_compares_as_compare_does(benchmark_module):
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
    found = benchmark_module("_report").against_the_best(rows, "silhouette", "ours", ("LDA", "raw"))
    row, expected = found.loc["planted"], table.loc["silhouette"]
    assert row["n_splits"] == 4
    assert row["best"] == expected.loc["ours", "best_other"]
    assert row["best_mean"] == pytest.approx(expected.loc[row["best"], "mean"])
    for name in ("mean", "difference", "p_value"):
        assert row[name] == pytest.approx(expected.loc["ours", name])


def test_methods_are_compared_on_the_splits_that_they_share(benchmark_module):
    """Of a method with fewer splits nothing is said, nor of data on which there is no other."""
    figures = {
        ("faces", "ours"): [0.5, 0.5, 0.2],
        ("faces", "LDA"): [0.3, 0.4],
        ("faces", "CNN"): [0.9],
        ("digits", "ours"): [0.5, 0.6],
    }
    found = benchmark_module("_report").against_the_best(
        _rows_of(figures), "silhouette", "ours", ("LDA", "CNN")
    )
    assert list(found.index) == ["faces"]
    row = found.loc["faces"]
    assert (row["best"], row["n_splits"]) == ("LDA", 2)
    assert (row["mean"], row["difference"]) == pytest.approx((0.5, 0.15))


def test_who_is_ahead_of_all_is_as_sure_as_of_the_one_that_it_is_least_sure_of(benchmark_module):
    """And who is behind the best is tested against that one."""
    figures = {
        ("faces", "ours"): [0.9, 0.9, 0.8, 0.9, 0.9],
        ("faces", "near"): [0.8, 0.81, 0.7, 0.8, 0.79],
        ("faces", "varying"): [0.8, 0.2, 0.7, 0.3, 0.9],
        ("digits", "ours"): [0.7, 0.7, 0.6, 0.7, 0.7],
        ("digits", "near"): [0.8, 0.81, 0.7, 0.8, 0.79],
        ("digits", "varying"): [0.5, 0.2, 0.7, 0.3, 0.9],
    }
    rows = _rows_of(figures)
    others = ("near", "varying")
    found = benchmark_module("_report").against_the_best(rows, "silhouette", "ours", others)
    assert found["best"].tolist() == ["near", "near"]
    assert found["tested"].tolist() == ["varying", "near"]
    for data, tested in found["tested"].items():
        differences = np.subtract(figures[data, "ours"], figures[data, tested])
        expected = corrected_resampled_t_test(differences, 1.0)
        assert found.loc[data, "p_value"] == pytest.approx(expected)
    rows = rows.replace({"data": {"faces": "olivetti"}})
    text = benchmark_module("_verdict").verdict_of(rows, ("silhouette",), competitors=others)
    p_value = found.loc["faces", "p_value"]
    assert f'"olivetti","0.880","0.780 (near)","+0.100","{p_value:.2g} (varying)","5"' in text


def test_words_say_ahead_level_behind_and_what_is_sure(benchmark_module):
    table = pandas.DataFrame(
        {
            "difference": [0.2, 0.1, 0.3, -0.25, 0.0001],
            "p_value": [0.001, 0.2, 0.001, 0.001, 0.9],
            "n_splits": [5, 5, 2, 5, 5],
            "n_tested": [5, 5, 2, 5, 5],
        },
        index=["olivetti", "lfw", "digits", "pines", "serology"],
    )
    assert benchmark_module("_verdict")._in_words("silhouette", table) == (
        "In silhouette, of 4 of the six ours is ahead on 3 (olivetti, lfw and digits), "
        "significantly on 1 (olivetti; by Holm's method for 4 comparisons on olivetti); "
        "within chance on lfw by 0.100 (p = 0.2); on too few splits on digits; "
        "behind on pines by 0.250 (p = 0.001). "
        "Of 1 of the others ours is ahead on none; level on serology.\n\n"
    )


def test_a_verdict_can_be_on_another_method_of_ours(benchmark_module):
    figures = {
        ("faces", "ours, spread"): [0.9, 0.7],
        ("faces", "ours"): [0.1, 0.2],
        ("faces", "LDA"): [0.5, 0.6],
        ("digits", "ours"): [0.1, 0.2],
    }
    rows = _rows_of(figures).replace({"data": {"faces": "olivetti"}})
    text = benchmark_module("_verdict").verdict_of(rows, ("silhouette",), "ours, spread")
    assert '"silhouette","ours, spread","best competitor"' in text
    assert '"olivetti","0.800","0.550 (LDA)","+0.250"' in text
    assert "of 1 of the six ours, spread is ahead on 1 (olivetti)" in text
    assert "- digits: ours, spread has not been run." in text


def test_a_verdict_can_be_over_a_part_of_the_competitors(benchmark_module):
    figures = {
        ("faces", "ours"): [0.7, 0.8],
        ("faces", "LDA"): [0.5, 0.6],
        ("faces", "longer CNN, probabilities"): [0.9, 0.95],
    }
    rows = _rows_of(figures).replace({"data": {"faces": "olivetti"}})
    text = benchmark_module("_verdict").verdict_of(rows, ("silhouette",), competitors=("LDA",))
    assert '"olivetti","0.750","0.550 (LDA)","+0.200"' in text
    assert "Left out" not in text


def test_embeddings_are_compared_without_probabilities_on_all_their_splits(benchmark_module):
    figures = {
        ("faces", "ours"): [0.7, 0.8, 0.9],
        ("faces", "LDA"): [0.5, 0.6, 0.1],
        ("faces", "longer CNN, probabilities"): [0.95],
    }
    rows = _rows_of(figures).replace({"data": {"faces": "olivetti"}})
    rows = rows.assign(kind="held out", ari=rows["silhouette"])
    text = benchmark_module("report").verdict_of_embeddings(rows, None)
    assert '"olivetti","0.800","0.400 (LDA)","+0.400"' in text
    assert "probabilities" not in text


def test_splits_that_something_was_chosen_by_are_not_fresh(benchmark_module):
    report = benchmark_module("report")
    figures = {("crystals", "ours"): [0.5] * 11, ("crystals", "LDA"): [0.1] * 5 + [0.4] + [0.2] * 5}
    rows = _rows_of(figures).assign(kind="held out")
    rows = rows.assign(ari=rows["silhouette"])
    text = report.PARTS["verdict_of_fresh_splits"][1](rows, None)
    assert '"crystals","0.500","0.200 (LDA)","+0.300","–","5"' in text
    assert "Not compared" not in text
    figures = {("lfw", name): [figure] * 10 for name, figure in [("ours", 0.5), ("LDA", 0.2)]}
    lfw = _rows_of(figures).assign(kind="held out", ari=0.5)
    ten = pandas.concat([rows[rows["split"] < 10], lfw])
    text = report.PARTS["verdict_of_fresh_splits"][1](ten, None)
    assert '"crystals"' not in text
    assert text.endswith("ours or of the method that is best on all splits: crystals.\n")


def test_on_fresh_splits_nothing_is_first_for_want_of_the_best_competitor(benchmark_module):
    report = benchmark_module("report")
    figures = {("lfw", "ours"): [0.5] * 10, ("lfw", "LDA"): [0.2] * 10, ("lfw", "CNN"): [0.9] * 5}
    figures |= {("digits", name): numbers for (_, name), numbers in figures.items()}
    rows = _rows_of(figures).assign(kind="held out")
    rows = rows.assign(ari=rows["silhouette"])
    more = rows[(rows["data"] == "digits") & (rows["method"] == "CNN")]
    rows = pandas.concat([rows, more.assign(split=more["split"] + 5)])
    parts = {name: part(rows, None) for name, (_, part) in report.PARTS.items() if "fresh" in name}
    assert len(parts) == 2
    for text in parts.values():
        assert '"digits","0.500","0.900 (CNN)","-0.400"' in text
        assert '"lfw"' not in text
        assert text.endswith("best on all splits: lfw.\n")


def test_how_many_splits_a_p_value_is_of_is_said_where_it_is_another_methods(benchmark_module):
    figures = {("faces", "ours"): [0.9, 0.91, 0.88, 0.9, 0.89, 0.9]}
    figures |= {("faces", "near"): [0.8, 0.8, 0.79, 0.8, 0.8, 0.8]}
    figures |= {("faces", "varying"): [0.1, 0.9, 0.8, 0.7, 0.6]}
    rows = _rows_of(figures).replace({"data": {"faces": "olivetti"}})
    others = ("near", "varying")
    text = benchmark_module("_verdict").verdict_of(rows, ("silhouette",), competitors=others)
    assert '(varying; 5 splits)","6"' in text


def test_what_embeds_no_new_samples_counts_among_what_was_run(benchmark_module):
    rows = _rows_of({("lfw", "ours"): [0.5] * 10, ("lfw", "t-SNE"): [0.5] * 5})
    rows = rows.assign(kind="held out", in_sample_silhouette=0.9)
    rows.loc[rows["method"] == "t-SNE", "silhouette"] = float("nan")
    text = benchmark_module("report").splits(rows, None)
    assert '"t-SNE","5"' in text
    assert "In 1 of 2 places these are fewer than meant" in text


def test_of_what_was_fitted_the_errors_are_plain(benchmark_module):
    figures = {("faces", "ours"): [0.1, 0.3, 0.2, 0.4]}
    table = benchmark_module("_report").methods_by_data(
        _rows_of(figures), "silhouette", ("ours",), ("faces",), is_held_out=False
    )
    assert f"0.250 ± {np.std(figures['faces', 'ours'], ddof=1) / 2:.3f}" in table


def test_notes_say_of_which_data_they_are(benchmark_module):
    rows = pandas.DataFrame({"data": ["lfw", "crystals, paper", "lfw", "digits"]})
    rows["note"] = ["did not converge"] * 3 + [None]
    text = benchmark_module("report")._notes(rows.assign(method="NCA"))
    assert text == "- NCA, 3 of 4 rows: did not converge (lfw 2, crystals (paper) 1)\n"


def test_of_brains_no_more_is_said_of_a_method_than_of_the_true_labels_is_known(benchmark_module):
    rows = pandas.DataFrame(
        [
            {"run": run, "method": method, "balanced_accuracy": value}
            for method, own in {"ours": [0.6, 0.5, 0.7], "LDA": [np.nan, 0.5, 0.4]}.items()
            for run, value in enumerate(own)
        ]
    )
    text = benchmark_module("report").abide(rows, None)
    assert '"ours","0.600","0.600 ± 0.141","0.667","2"' in text
    assert "LDA" not in text
    assert benchmark_module("report").abide(rows[rows["method"] == "LDA"], None) == ""


def test_errors_of_verification_know_how_many_samples_are_scored_for_one_that_is_fitted(
    benchmark_module,
):
    rows = pandas.DataFrame({"data": "lfw", "method": "ours", "split": range(3)})
    rows = rows.assign(auc=[0.5, 0.6, 0.7], n_fit=50, n_test=100, note=None)
    error = 0.1 * np.sqrt(1 / 3 + 2)
    assert f'"ours","3","0.600 ± {error:.3f}"' in benchmark_module("report").verification(
        rows, None
    )


def test_p_values_are_corrected_by_holms_method(benchmark_module):
    p_values = pandas.Series([0.04, 0.01, np.nan, 0.02], index=list("abcd"))
    corrected = benchmark_module("_verdict")._by_holm(p_values)
    assert corrected[list("abcd")].tolist() == pytest.approx([0.08, 0.04, 1.0, 0.06])


def test_standard_errors_are_those_of_the_corrected_test(benchmark_module):
    figures = pandas.Series([0.1, 0.3, 0.2, 0.4])
    say = benchmark_module("_report").mean_and_error
    assert say(figures) == f"0.250 ± {figures.std() / 2:.3f}"
    assert say(figures, test_to_fit=1.0) == f"0.250 ± {figures.std() * np.sqrt(1.25):.3f}"
    assert say(figures[:1]) == "0.100"
    assert say(figures[:0]) == "–"


def test_five_splits_are_enough_to_be_compared_or_as_many_as_any_has(benchmark_module):
    are_enough = benchmark_module("_report").are_enough
    assert are_enough(pandas.Series([10, 5, 4])).tolist() == [True, True, False]
    assert are_enough(pandas.Series([3, 3, 2])).tolist() == [True, True, False]
    assert are_enough(pandas.Series([1, 1])).tolist() == [False, False]
    assert are_enough(pandas.Series([], dtype=int)).tolist() == []


def test_only_methods_with_enough_splits_are_bold_and_all_of_those_that_tie(benchmark_module):
    figures = {
        ("faces", "ours"): [0.5, 0.5],
        ("faces", "LDA"): [0.5, 0.5],
        ("faces", "raw"): [0.1, 0.2],
        ("faces", "CNN"): [0.9],
    }
    table = benchmark_module("_report").methods_by_data(
        _rows_of(figures), "silhouette", ("raw", "LDA", "CNN", "ours"), ("faces",)
    )
    bold = {line.split(",")[0].strip().strip('"') for line in table.splitlines() if "**" in line}
    assert bold == {"ours", "LDA"}


def test_crossings_name_the_numbers_of_samples(benchmark_module):
    figures = {"ours": [0.4, 0.8, 0.9], "LDA": [0.5, 0.8, 0.7], "raw": [0.1, 0.2, 0.3]}
    rows = pandas.DataFrame(
        [
            {"data": "faces", "each": each, "split": split, "method": method, "knn_accuracy": value}
            for method, values in figures.items()
            for each, value in zip((2, 5, 10), values, strict=True)
            for split in range(3)
        ]
    )
    say = benchmark_module("_few_labels")._crossings
    assert say(rows, ["faces"], "ours", "LDA") == "faces, ahead at 10, behind at 2, neither at 5"
    assert say(rows, ["faces"], "ours", "raw") == "faces, ahead at 2, 5 and 10"
    assert say(rows, ["faces"], "raw", "LDA") == "faces, behind at 2, 5 and 10"
    noise = [0.4, -0.4, 0] + [0] * (len(rows) - 3)  # of ours at 2
    noisy = rows.assign(knn_accuracy=rows["knn_accuracy"] + noise)
    few = noisy[(noisy["each"] > 5) | (noisy["method"] != "LDA")]
    assert say(few, ["faces"], "ours", "LDA") == "faces, ahead at 10, not compared at 2 and 5"
    assert say(noisy, ["faces"], "ours", "raw") == "faces, ahead at 5 and 10, neither at 2"
    two = rows[rows["split"] < 2]
    assert say(two, ["faces"], "ours", "raw") == "faces, not compared at 2, 5 and 10"


def test_the_report_of_rows_that_all_failed_says_so(benchmark_module, tmp_path):
    fields = (*benchmark_module("paper").KEYS, *benchmark_module("_runner").FIELDS)
    rows = pandas.DataFrame([dict.fromkeys(fields, np.nan)] * 2, dtype=object)
    rows[["data", "kind", "split"]] = ["digits", "held out", 0]
    rows["method"], rows["note"], rows["versions"] = ["ours", "raw"], "stopped after 1 s", "none"
    report = benchmark_module("report")
    for source, part in report.PARTS.values():
        if source == "paper":
            part(rows, tmp_path)
    assert "- raw, 1 of 1 rows: stopped after 1 s" in report.what_was_run(rows, tmp_path)


@pytest.mark.parametrize("has_rows", [True, False], ids=["nothing of ours", "no rows"])
def test_a_table_without_rows_of_ours_makes_a_whole_report(
    benchmark_module, tmp_path, monkeypatch, has_rows
):
    fields = (*benchmark_module("paper").KEYS, *benchmark_module("_runner").FIELDS)
    row = dict.fromkeys(fields, 0.5) | {"data": "digits", "kind": "held out", "split": 0}
    row |= {"method": "raw", "note": None, "versions": "some code 0123abcd"}
    pandas.DataFrame([row] * has_rows, columns=fields).to_csv(tmp_path / "mine.csv", index=False)
    report = benchmark_module("report")
    parts = {name: part for name, part in report.PARTS.items() if part[0] == "paper"}
    monkeypatch.setattr(report, "PARTS", parts)
    arguments = ["--paper", "mine", "--results", str(tmp_path), "--to", str(tmp_path / "to")]
    monkeypatch.setattr(sys, "argv", ["report.py", *arguments])
    report.main()
    written = {path.stem: path.read_text() for path in (tmp_path / "to").glob("*.inc")}
    assert set(written) == set(parts)
    assert written["code_of_ours"] == "*Not run yet.*\n"
    assert ('"raw"' in written["silhouette"]) == has_rows


@pytest.mark.parametrize("name", ["curves", "scarcity", "verification", "roc"])
def test_tables_of_other_data_or_without_figures_break_no_part(benchmark_module, tmp_path, name):
    """scarcity.py takes the serology, too; and of new classes alone there are no curves to draw."""
    report = benchmark_module("report")
    row = {"data": "serology", "kind": "new classes", "each": 2, "split": 0, "method": "CNN"}
    row |= {"tenth": 1, "loss": 0.5, "false": 0.1, "true": 0.2, "auc": 0.7, "true_at_0.1": 0.3}
    row |= dict.fromkeys(("silhouette", "ari", "knn_accuracy"), 0.5) | {"n_fit": 9, "n_test": 9}
    rows = pandas.DataFrame([row | {"note": None}])
    _, part = report.PARTS[name]
    assert ("serology" in part(rows, tmp_path)) == (name in ("scarcity", "verification"))
    failed = rows.assign(note="stopped", data="connectivity", silhouette=np.nan)
    assert "image" not in part(failed, tmp_path)


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
