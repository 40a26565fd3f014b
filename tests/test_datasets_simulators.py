"""What the three simulators have in common: signatures, refusals, progress, "paper"."""

import inspect

import numpy as np
import pytest
import tensorly as tl

from tensorly_norank._progress import is_tenth
from tensorly_norank.datasets import (
    _connectivity,
    _crystals,
    _galaxies,
    simulate_connectivity,
    simulate_crystals,
    simulate_galaxies,
)

SIMULATORS = {
    "galaxies": (simulate_galaxies, _galaxies),
    "crystals": (simulate_crystals, _crystals),
    "connectivity": (simulate_connectivity, _connectivity),
}
every_simulator = pytest.mark.parametrize("name", SIMULATORS)
with_paper = pytest.mark.parametrize("simulate", [simulate_galaxies, simulate_crystals])


@every_simulator
def test_signatures_begin_and_end_alike(name):
    parameters = inspect.signature(SIMULATORS[name][0]).parameters
    positional = [p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [p.name for p in positional[::2]] == ["n_samples", "difficulty"]
    assert [p.default for p in positional[::2]] == [200, "medium"]
    assert len(positional) == 3
    assert list(parameters)[-2:] == ["random_state", "verbose"]


class _Streamless:
    """A generator that must not be asked for streams."""

    def spawn(self, n_children):
        raise AssertionError(f"{n_children} streams were spawned")


@pytest.mark.parametrize("n_samples", [10**10, 10**18, 10**30])
@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {}) for name in SIMULATORS]
    + [(name, {"difficulty": "paper"}) for name in ("galaxies", "crystals")],
)
def test_too_many_samples_are_found_out_before_any_work(monkeypatch, name, options, n_samples):
    simulate, module = SIMULATORS[name]
    monkeypatch.setattr(module, "check_random_state", lambda seed: _Streamless())
    with pytest.raises(
        MemoryError, match=rf"n_samples must let .* got n_samples={n_samples}: .*GB"
    ):
        simulate(n_samples, **options)


@every_simulator
@pytest.mark.parametrize("value", [None, ["easy"], 3, "trivial", {"easy": 1}, np.array(["easy"])])
def test_a_difficulty_that_is_none_is_refused_with_the_choices(name, value):
    with pytest.raises(ValueError, match=r"difficulty must be one of 'easy', 'medium', 'hard'"):
        SIMULATORS[name][0](8, difficulty=value)


@pytest.mark.parametrize("choice", ["kind", "orientation", "origin"])
@pytest.mark.parametrize("value", [None, ["density"], 3, np.array(["random", "centre"])])
def test_choices_about_crystals_of_another_type_are_refused_with_the_choices(choice, value):
    with pytest.raises(ValueError, match=f"{choice} must be one of '.*', '.*', got"):
        simulate_crystals(2, 8, **{choice: value})


@every_simulator
@pytest.mark.parametrize("value", [None, "yes", -1, 0.5])
def test_verbose_is_checked(name, value):
    with pytest.raises((TypeError, ValueError), match="verbose must be"):
        SIMULATORS[name][0](8, verbose=value)


@every_simulator
@pytest.mark.parametrize("verbose", [True, 1])
def test_progress_is_told_if_asked_for_and_changes_nothing(name, verbose, capsys):
    simulate = SIMULATORS[name][0]
    quiet = simulate(20, 8, random_state=0)
    assert capsys.readouterr() == ("", "")
    talking = simulate(20, 8, random_state=0, verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[-1].startswith("simulate: ") and lines[-1].endswith(" 20/20")
    np.testing.assert_array_equal(tl.to_numpy(talking.tensor), tl.to_numpy(quiet.tensor))


# "paper".


@pytest.mark.parametrize(
    ("simulate", "physics"),
    [
        (simulate_galaxies, {"radius": (2, 3)}),
        (simulate_galaxies, {"field_of_view": 30.0}),
        (simulate_galaxies, {"magnitude": (14, 15), "sky_brightness": np.array([20.0, 21.0])}),
        (simulate_crystals, {"kind": "diffraction"}),
        (simulate_crystals, {"projection": True}),
        (simulate_crystals, {"dose": 3.0, "box": 5.0}),
        (simulate_crystals, {"cell_length": np.array([4.0, 5.0, 6.0])}),
    ],
)
def test_paper_refuses_physics_by_name_and_value(simulate, physics):
    names = ".*".join(sorted(physics, key=list(inspect.signature(simulate).parameters).index))
    with pytest.raises(
        ValueError, match=f"^{names} must be left at the default with .*got {names[:3]}"
    ):
        simulate(4, 16, "paper", **physics)


@with_paper
def test_paper_takes_what_is_the_default_and_any_size(simulate):
    defaults = {
        parameter.name: parameter.default
        for parameter in inspect.signature(simulate).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert tl.shape(simulate(1, 2600, "paper", **defaults).tensor) == (1, 2600, 2600)


@with_paper
def test_paper_is_its_templates_and_their_noise_cut_to_0_and_1(simulate):
    bunch = simulate(40, 64, "paper", random_state=0)
    images, templates = (tl.to_numpy(bunch[name]).astype(float) for name in ("tensor", "noiseless"))
    assert images.shape == templates.shape == (40, 64, 64)
    assert (images.min(), images.max()) == (0, 1)
    inner = (templates > 0.25) & (templates < 0.75)  # where nothing is cut off
    if inner.any():
        assert (images - templates)[inner].std() == pytest.approx(0.05, rel=0.05)
    assert np.abs(images - np.clip(templates, 0, 1)).max() < 0.05 * 6
    assert all(f" {name}" in bunch.DESCR for name in bunch.class_names)
    assert "published" in bunch.DESCR and "Bagherian" in bunch.reference[0]


@with_paper
def test_neighbours_in_raw_pixels_tell_the_papers_templates(simulate):
    bunch = simulate(80, 32, "paper", random_state=1)
    pixels = tl.to_numpy(bunch.tensor).reshape(80, -1)
    fit, test = slice(0, 40), slice(40, 80)
    distances = np.linalg.norm(pixels[test, None] - pixels[fit], axis=2)
    nearest = bunch.labels[fit][distances.argmin(axis=1)]
    np.testing.assert_array_equal(nearest, bunch.labels[test])


@pytest.mark.parametrize("n_all", [1, 7, 10, 11, 19, 25, 100, 101])
def test_lines_come_after_each_tenth_of_the_work(n_all):
    due = [n for n in range(1, n_all + 1) if is_tenth(n, n_all)]
    assert len(due) == min(n_all, 10)
    assert due[-1] == n_all
