"""The loaders against the libraries that serve the data, and caches made up in their formats."""

import copy
import os
import pickle
import socket
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import sklearn.datasets
import tensorly as tl
import tensorly.datasets

from tensorly_norank.datasets import (
    _abide,
    _cache,
    _images,
    _tensorly,
    load_abide,
    load_covid19_serology,
    load_digits,
    load_indian_pines_patches,
    load_lfw,
    load_olivetti,
)

PEOPLE = {"Ada_Lovelace": 4, "Emmy_Noether": 3, "Maria_Agnesi": 1}
N_REGIONS = 116
# SUB_ID, SITE_ID, FILE_ID, DX_GROUP, the raters' verdict, number of images
SUBJECTS = (
    (50002, "PITT", "no_filename", 1, "OK", 0),
    (50003, "PITT", "Pitt_0050003", 1, "OK", 30),
    (50004, "PITT", "Pitt_0050004", 2, "OK", 41),
    (50005, "OHSU", "OHSU_0050005", 2, "fail", 35),
    (50006, "OHSU", "OHSU_0050006", 1, "OK", 35),
    (50007, "UM_1", "UM_1_0050007", 2, "OK", 52),
)
GOOD = [subject for subject in SUBJECTS if subject[2] != "no_filename" and subject[4] == "OK"]
RATERS = ("qc_rater_1", "qc_anat_rater_2", "qc_func_rater_2", "qc_anat_rater_3", "qc_func_rater_3")


@pytest.fixture(scope="session")
def olivetti_cache(tmp_path_factory):
    """scikit-learn's: one compressed pickle of (400, 4096)."""
    folder = tmp_path_factory.mktemp("olivetti")
    faces = np.random.default_rng(0).random((400, 4096), dtype=np.float32)
    joblib.dump(faces, folder / "olivetti_py3.pkz")
    return folder


@pytest.fixture(scope="session")
def lfw_cache(tmp_path_factory):
    """scikit-learn's: a folder for each person, and three lists of pairs that must be there."""
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path_factory.mktemp("lfw")
    home = folder / "lfw_home"
    rng = np.random.default_rng(0)
    for person, n_faces in PEOPLE.items():
        album = home / "lfw_funneled" / person
        album.mkdir(parents=True)
        for number in range(1, n_faces + 1):
            pixels = rng.integers(256, size=(250, 250, 3), dtype=np.uint8)
            image.fromarray(pixels).save(album / f"{person}_{number:04}.jpg")
    for name in ("pairs.txt", "pairsDevTrain.txt", "pairsDevTest.txt"):
        (home / name).touch()
    return folder


def _write_phenotypic(folder):
    """As published: two columns of row numbers first, and text with commas in quotes."""
    header = ",Unnamed: 0,SUB_ID,SITE_ID,FILE_ID,DX_GROUP," + ",".join(RATERS) + ",notes"
    rows = [
        f'{k},{k},{number},{site},{file},{group},{",".join([verdict] * 5)},"tall, left-handed"'
        for k, (number, site, file, group, verdict, _) in enumerate(SUBJECTS)
    ]
    path = folder / "ABIDE_pcp" / "Phenotypic_V1_0b_preprocessed1.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


def _write_series(folder, file, series, where="cpac/filt_noglobal", derivative="rois_aal"):
    path = folder / "ABIDE_pcp" / where / f"{file}_{derivative}.1D"
    path.parent.mkdir(parents=True, exist_ok=True)
    names = "\t".join(f"#{2001 + k}" for k in range(series.shape[1]))
    np.savetxt(path, series, delimiter="\t", header=names, comments="")


def _series(file, n_timepoints, n_regions=N_REGIONS):
    rng = np.random.default_rng(len(file) + n_timepoints)
    return rng.normal(size=(n_timepoints, n_regions)) @ rng.normal(size=(n_regions, n_regions))


@pytest.fixture(scope="session")
def abide_cache(tmp_path_factory):
    """nilearn's: a table of the subjects, and a text file of each one's series."""
    pytest.importorskip("nilearn")
    folder = tmp_path_factory.mktemp("abide")
    _write_phenotypic(folder)
    for _, _, file, _, _, n_timepoints in SUBJECTS[1:]:
        _write_series(folder, file, _series(file, n_timepoints))
    return folder


LOADERS = {
    "digits": lambda request: load_digits(),
    "serology": lambda request: load_covid19_serology(),
    "pines": lambda request: load_indian_pines_patches(n_most=4),
    "olivetti": lambda request: load_olivetti(data_home=request.getfixturevalue("olivetti_cache")),
    "lfw": lambda request: load_lfw(
        data_home=request.getfixturevalue("lfw_cache"), min_faces_per_person=2
    ),
    "abide": lambda request: load_abide(data_home=request.getfixturevalue("abide_cache")),
}
SHAPES = {
    "digits": (1797, 8, 8),
    "serology": (438, 6, 11),
    "pines": (64, 5, 5, 200),
    "olivetti": (400, 64, 64),
    "lfw": (7, 62, 47),
    "abide": (len(GOOD), N_REGIONS, N_REGIONS),
}
N_CLASSES = {"digits": 10, "serology": 5, "pines": 16, "olivetti": 40, "lfw": 2, "abide": 2}


@pytest.fixture(params=sorted(LOADERS))
def named_bunch(request):
    return request.param, LOADERS[request.param](request)


@pytest.fixture
def no_network(monkeypatch):
    """Every look-up of a host fails at once, and nobody waits before the next try."""

    def fail(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def _same(one, other):
    if tl.is_tensor(one):
        one, other = tl.to_numpy(one), tl.to_numpy(other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return np.array_equal(one, other)


# What all of them have in common


def test_tensors_are_of_the_active_backend_in_float32(named_bunch):
    name, bunch = named_bunch
    assert tl.is_tensor(bunch.tensor)
    values = tl.to_numpy(bunch.tensor)
    assert (values.shape, values.dtype) == (SHAPES[name], np.float32)
    assert np.isfinite(values).all()


def test_labels_are_codes_into_the_class_names(named_bunch):
    name, bunch = named_bunch
    assert bunch.labels.dtype.kind == "i"
    assert bunch.class_names.dtype.kind == "U"
    assert len(set(bunch.class_names)) == len(bunch.class_names) == N_CLASSES[name]
    np.testing.assert_array_equal(np.unique(bunch.labels), np.arange(N_CLASSES[name]))


def test_dims_and_ticks_fit_the_shape(named_bunch):
    name, bunch = named_bunch
    assert bunch.dims[0] == ("subject" if name == "abide" else "sample")
    assert len(set(bunch.dims)) == len(bunch.dims) == len(SHAPES[name])
    assert tuple(map(len, bunch.ticks)) == SHAPES[name]
    np.testing.assert_array_equal(bunch.ticks[0], bunch.class_names[bunch.labels])


def test_texts_say_what_whom_to_cite_and_what_one_may_do(named_bunch):
    _, bunch = named_bunch
    assert all(isinstance(text, str) and text for text in (bunch.DESCR, bunch.licence))
    assert isinstance(bunch.reference, list) and all(len(text) > 50 for text in bunch.reference)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))])
def test_bunches_survive_a_copy(named_bunch, copied):
    _, bunch = named_bunch
    twin = copied(bunch)
    assert set(twin) == set(bunch)
    assert all(_same(twin[key], bunch[key]) for key in bunch)


@pytest.mark.parametrize("name", sorted(LOADERS))
def test_nothing_is_printed(request, capsys, name):
    LOADERS[name](request)
    assert capsys.readouterr() == ("", "")


# scikit-learn


def test_digits_are_those_of_scikit_learn():
    theirs, ours = sklearn.datasets.load_digits(), load_digits()
    np.testing.assert_array_equal(tl.to_numpy(ours.tensor), theirs.images)
    np.testing.assert_array_equal(ours.labels, theirs.target)
    assert ours.ticks[0][:3].tolist() == ["0", "1", "2"]


def test_olivetti_are_those_of_scikit_learn(olivetti_cache):
    theirs = sklearn.datasets.fetch_olivetti_faces(data_home=olivetti_cache)
    ours = load_olivetti(data_home=olivetti_cache, download_if_missing=False)
    np.testing.assert_array_equal(tl.to_numpy(ours.tensor), theirs.images)
    np.testing.assert_array_equal(ours.labels, theirs.target)
    assert ours.ticks[0][[0, 9, 10, 399]].tolist() == [
        "person 1",
        "person 1",
        "person 2",
        "person 40",
    ]


def test_the_environment_names_the_cache(olivetti_cache, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(olivetti_cache))
    assert _same(load_olivetti().tensor, load_olivetti(data_home=olivetti_cache).tensor)


def test_the_real_olivetti_faces():
    beside = Path(__file__).resolve().parents[2] / "shared" / "data" / "scikit_learn"
    folder = Path(os.environ.get("SCIKIT_LEARN_DATA", beside))
    if not (folder / "olivetti_py3.pkz").exists():
        pytest.skip("the Olivetti faces are not at hand: SCIKIT_LEARN_DATA names their folder")
    faces = tl.to_numpy(load_olivetti(data_home=folder, download_if_missing=False).tensor)
    assert (faces.min(), faces.max()) == (0, 1)
    likeness = np.corrcoef(faces.reshape(400, -1))
    np.fill_diagonal(likeness, -1)
    assert np.mean(likeness.argmax(axis=1) // 10 == np.arange(400) // 10) > 0.9


def test_lfw_are_those_of_scikit_learn(lfw_cache):
    theirs = sklearn.datasets.fetch_lfw_people(data_home=lfw_cache, min_faces_per_person=2)
    ours = load_lfw(data_home=lfw_cache, min_faces_per_person=2)
    np.testing.assert_array_equal(tl.to_numpy(ours.tensor), theirs.images)
    np.testing.assert_array_equal(ours.labels, theirs.target)
    assert ours.class_names.tolist() == ["Ada Lovelace", "Emmy Noether"]
    assert np.bincount(ours.labels).tolist() == [4, 3]


@pytest.mark.parametrize(("resize", "shape"), [(None, (8, 125, 94)), (0.25, (8, 31, 23))])
def test_lfw_people_and_their_size_can_be_chosen(lfw_cache, resize, shape):
    faces = load_lfw(data_home=lfw_cache, min_faces_per_person=1, resize=resize)
    assert tuple(faces.tensor.shape) == shape
    assert tuple(map(len, faces.ticks)) == shape
    assert len(faces.class_names) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_faces_per_person": 0}, "min_faces_per_person must be at least 1, got 0"),
        ({"resize": 0}, "resize must be greater than 0, and finite, got 0"),
        ({"min_faces_per_person": 99}, "min_faces_per_person=99 is too restrictive"),
    ],
)
def test_bad_arguments_of_lfw_are_named(lfw_cache, arguments, message):
    with pytest.raises(ValueError, match=message):
        load_lfw(data_home=lfw_cache, **arguments)


def test_lfw_names_the_extra_that_brings_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"load_lfw needs Pillow, .*its extra 'images'"):
        load_lfw(min_faces_per_person=0)


# ABIDE


def test_abide_is_the_correlation_of_the_series(abide_cache):
    abide = load_abide(data_home=abide_cache)
    tensor = tl.to_numpy(abide.tensor)
    for matrix, (_, _, file, _, _, n_timepoints) in zip(tensor, GOOD, strict=True):
        expected = np.corrcoef(_series(file, n_timepoints), rowvar=False)
        np.testing.assert_allclose(matrix, expected, atol=1e-6)
    np.testing.assert_array_equal(tensor, tensor.transpose(0, 2, 1))
    assert (np.einsum("nii->ni", tensor) == 1).all()
    assert np.abs(tensor).max() == 1


def test_abide_says_who_was_scanned_where(abide_cache):
    abide = load_abide(data_home=abide_cache)
    assert abide.class_names.tolist() == ["ASD", "TD"]
    assert abide.labels.tolist() == [group - 1 for _, _, _, group, _, _ in GOOD]
    assert abide.sites.tolist() == ["PITT", "PITT", "OHSU", "UM_1"]
    assert abide.subjects.tolist() == [50003, 50004, 50006, 50007]
    assert abide.n_timepoints.tolist() == [30, 41, 35, 52]
    assert (abide.sites.dtype.kind, abide.subjects.dtype.kind) == ("U", "i")


def test_abide_subjects_can_be_chosen(abide_cache):
    assert load_abide(data_home=abide_cache, n_subjects=2).subjects.tolist() == [50003, 50004]
    every = load_abide(data_home=abide_cache, quality_checked=False)
    assert every.subjects.tolist() == [50003, 50004, 50005, 50006, 50007]


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"pipeline": "ccs"}, "ccs/filt_noglobal"),
        ({"band_pass_filtering": False}, "cpac/nofilt_noglobal"),
        ({"global_signal_regression": True}, "cpac/filt_global"),
        ({"derivative": "rois_cc200"}, "cpac/filt_noglobal"),
    ],
)
def test_abide_reads_the_files_that_the_options_name(tmp_path, no_network, options, where):
    pytest.importorskip("nilearn")
    _write_phenotypic(tmp_path)
    derivative = options.get("derivative", "rois_aal")
    with pytest.raises(OSError, match=rf"{where}/\*_{derivative}\.1D"):
        load_abide(data_home=tmp_path, n_subjects=1, **options)
    _write_series(tmp_path, "Pitt_0050003", _series("", 9, 7), where, derivative)
    abide = load_abide(data_home=tmp_path, n_subjects=1, **options)
    assert tuple(abide.tensor.shape) == (1, 7, 7)


def test_regions_without_signal_correlate_with_nothing(tmp_path):
    pytest.importorskip("nilearn")
    _write_phenotypic(tmp_path)
    series = _series("", 20, 6)
    series[:, 1], series[:, 3], series[5, 4] = 0.1, 0, np.nan
    _write_series(tmp_path, "Pitt_0050003", series)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        (matrix,) = tl.to_numpy(load_abide(data_home=tmp_path, n_subjects=1).tensor)
    expected = np.eye(6)
    lively = np.ix_([0, 2, 5], [0, 2, 5])
    expected[lively] = np.corrcoef(series[:, [0, 2, 5]], rowvar=False)
    np.testing.assert_allclose(matrix, expected, atol=1e-6)


@pytest.mark.parametrize("series", [np.ones((5, 3)), np.ones((1, 3)), np.full((4, 3), np.inf)])
@pytest.mark.filterwarnings("error")
def test_without_any_signal_the_correlations_are_the_identity(series):
    np.testing.assert_array_equal(_abide._correlations(series), np.eye(3))


@pytest.mark.filterwarnings("error")
def test_one_lively_region_and_tiny_signals():
    series = np.zeros((6, 3))
    series[:, 1] = 1e-300 * np.arange(6)
    np.testing.assert_array_equal(_abide._correlations(series), np.eye(3))
    series[:, 2] = 1e300 * np.arange(6)
    assert _abide._correlations(series)[1, 2] == pytest.approx(1)


def test_correlations_are_symmetric_to_the_last_digit():
    correlations = _abide._correlations(_series("", 50))
    np.testing.assert_array_equal(correlations, correlations.T)


def test_abide_wants_one_atlas(tmp_path):
    pytest.importorskip("nilearn")
    _write_phenotypic(tmp_path)
    _write_series(tmp_path, "Pitt_0050003", _series("", 9, 7))
    _write_series(tmp_path, "Pitt_0050004", _series("", 9, 8))
    with pytest.raises(ValueError, match=r"load_abide.*same number of regions, got 7, 8"):
        load_abide(data_home=tmp_path, n_subjects=2)


def test_abide_without_a_subject_is_an_error():
    nobody = {"DX_GROUP": [], "SITE_ID": [], "SUB_ID": []}
    with pytest.raises(ValueError, match="no subject at all"):
        _abide._abide_bunch(nobody, [], "nobody")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"derivative": "func_preproc"}, "derivative must be one of 'rois_aal', .*'func_preproc'"),
        ({"pipeline": "css"}, "pipeline must be one of 'ccs', 'cpac', 'dparsf', 'niak', got 'css'"),
        ({"n_subjects": 0}, "n_subjects must be at least 1, got 0"),
    ],
)
def test_bad_arguments_of_abide_are_named_before_nilearn_is_asked(monkeypatch, arguments, message):
    monkeypatch.setattr(_abide, "_fetch_abide", None)
    with pytest.raises(ValueError, match=message):
        load_abide(**arguments)


def test_abide_names_the_extra_that_brings_nilearn(monkeypatch):
    for module in ("nilearn", "nilearn.datasets"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"load_abide needs nilearn.*its extra 'abide'"):
        load_abide()


# Neither cache nor network


@pytest.mark.filterwarnings("ignore:Retry downloading")
@pytest.mark.parametrize("download_if_missing", [True, False])
@pytest.mark.parametrize(
    ("load", "place", "files"),
    [
        (load_olivetti, "olivetti_py3.pkz", "that file"),
        (load_lfw, "lfw_home", "lfw-funneled.tgz"),
    ],
)
def test_without_scikit_learns_files(tmp_path, no_network, load, place, files, download_if_missing):
    with pytest.raises(OSError) as caught:
        load(data_home=tmp_path, download_if_missing=download_if_missing)
    message = str(caught.value)
    for part in (f"{load.__name__} cannot get", str(tmp_path / place), files, "SCIKIT_LEARN_DATA"):
        assert part in message
    assert isinstance(caught.value.__cause__, OSError)


CACHED = {
    "olivetti": load_olivetti,
    "olivetti, not downloaded": lambda **home: load_olivetti(download_if_missing=False, **home),
    "lfw": load_lfw,
    "lfw, not downloaded": lambda **home: load_lfw(download_if_missing=False, **home),
    "abide": load_abide,
}


def _folders(folder):
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_dir())


@pytest.mark.filterwarnings("ignore:Retry downloading")
@pytest.mark.parametrize("name", CACHED)
def test_a_failed_load_leaves_no_empty_folder_of_its_own(tmp_path, no_network, monkeypatch, name):
    pytest.importorskip("nilearn")
    for variable in ("SCIKIT_LEARN_DATA", "NILEARN_DATA", "NILEARN_SHARED_DATA"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    (tmp_path / "old" / "lfw_home").mkdir(parents=True)
    (tmp_path / "old" / "ABIDE_pcp" / "mine").mkdir(parents=True)
    before = set(_folders(tmp_path))
    for home in ({"data_home": tmp_path / "old"}, {"data_home": tmp_path / "new" / "one"}, {}):
        with pytest.raises(OSError, match="cannot get"):
            CACHED[name](**home)
    after = set(_folders(tmp_path))
    assert before <= after
    for folder in after - before:  # nilearn puts a text into its folder, which is not empty then
        assert list((tmp_path / folder).rglob("README.md"))


@pytest.mark.parametrize(
    ("load", "function"),
    [(load_olivetti, "fetch_olivetti_faces"), (load_lfw, "fetch_lfw_people")],
)
def test_a_failed_load_leaves_folders_of_others_alone(tmp_path, monkeypatch, load, function):
    def fail(**options):
        (tmp_path / "made by another process" / "just now").mkdir(parents=True)
        raise OSError("no network")

    monkeypatch.setattr(sklearn.datasets, function, fail)
    with pytest.raises(OSError, match="no network"):
        load(data_home=tmp_path)
    assert _folders(tmp_path) == [
        "made by another process",
        str(Path("made by another process", "just now")),
    ]


def test_only_new_empty_folders_go_and_only_after_an_error(tmp_path):
    def work():
        for folder in ("new/a/b", "new/c", "old/d", "kept"):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "new" / "c" / "file").touch()

    (tmp_path / "old" / "empty").mkdir(parents=True)
    places = [tmp_path / "new" / "a", tmp_path / "new" / "c", tmp_path / "old"]
    with pytest.raises(KeyboardInterrupt), _cache._without_new_empty_folders(places):
        work()
        raise KeyboardInterrupt
    assert _folders(tmp_path) == ["kept", "new", "new/c", "old", "old/empty"]
    with _cache._without_new_empty_folders(places):
        (tmp_path / "old" / "d").mkdir()
    assert (tmp_path / "old" / "d").is_dir()


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x04\x95"])
def test_a_damaged_file_of_the_olivetti_faces_is_told(tmp_path, content):
    (tmp_path / "olivetti_py3.pkz").write_bytes(content)
    with pytest.raises(OSError, match=r"load_olivetti cannot get .*Delete what is damaged"):
        load_olivetti(data_home=tmp_path, download_if_missing=False)


@pytest.mark.parametrize("load", [load_olivetti, load_lfw, load_abide])
@pytest.mark.parametrize("data_home", [3, b"folder", ["folder"], True])
def test_a_data_home_that_is_no_path_is_named(load, data_home):
    with pytest.raises(TypeError, match=r"data_home must be a folder .*or None, got .* of type"):
        load(data_home=data_home)


@pytest.mark.parametrize("value", [None, 3, ["ccs"]])
@pytest.mark.parametrize("choice", ["derivative", "pipeline"])
def test_choices_of_abide_of_another_type_are_refused_with_the_choices(choice, value):
    with pytest.raises(ValueError, match=f"{choice} must be one of '"):
        load_abide(**{choice: value})


def test_without_nilearns_files(tmp_path, no_network, monkeypatch):
    pytest.importorskip("nilearn")
    monkeypatch.setenv("NILEARN_SHARED_DATA", str(tmp_path / "absent"))
    monkeypatch.setenv("NILEARN_DATA", str(tmp_path))
    (tmp_path / "ABIDE_pcp").mkdir()  # the first that exists is the one that nilearn reads
    with pytest.raises(OSError, match="load_abide cannot get ABIDE: ") as caught:
        load_abide()
    table = tmp_path / "ABIDE_pcp" / "Phenotypic_V1_0b_preprocessed1.csv"
    for part in (str(table), "cpac/filt_noglobal/*_rois_aal.1D", "NILEARN_DATA"):
        assert part in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


def test_a_read_only_cache_of_nilearn_is_explained_too(tmp_path, no_network, monkeypatch):
    pytest.importorskip("nilearn")
    monkeypatch.setattr(os, "access", lambda *args, **kwargs: False)
    with pytest.raises(OSError, match=r"load_abide cannot get ABIDE: .*read-only"):
        load_abide(data_home=tmp_path)


def test_home_is_understood_by_every_cache(olivetti_cache, abide_cache, monkeypatch):
    monkeypatch.setenv("HOME", str(olivetti_cache.parent))
    monkeypatch.setenv("USERPROFILE", str(olivetti_cache.parent))
    assert _images._scikit_learn_home(Path("~", "x")) == olivetti_cache.parent / "x"
    assert len(load_olivetti(data_home=f"~/{olivetti_cache.name}").labels) == 400
    assert len(load_abide(data_home=f"~/{abide_cache.name}").labels) == len(GOOD)


def test_scikit_learn_looks_where_the_message_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("SCIKIT_LEARN_DATA", raising=False)
    assert str(_images._scikit_learn_home(None)) == sklearn.datasets.get_data_home()
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "elsewhere"))
    assert str(_images._scikit_learn_home(None)) == sklearn.datasets.get_data_home()


# TensorLy


def test_serology_is_that_of_tensorly():
    theirs, ours = tensorly.datasets.load_covid19_serology(), load_covid19_serology()
    np.testing.assert_array_equal(
        tl.to_numpy(ours.tensor), tl.to_numpy(theirs.tensor).astype(np.float32)
    )
    assert ours.ticks[0].tolist() == list(theirs.ticks[0])
    assert ours.ticks[1].tolist() == theirs.ticks[1]
    assert ours.ticks[2].tolist() == theirs.ticks[2]
    assert ours.class_names.tolist() == ["Negative", "Mild", "Moderate", "Severe", "Deceased"]
    assert np.bincount(ours.labels).tolist() == [39, 7, 122, 196, 74]
    assert ours.licence.startswith("Copyright 2022")


def _field():
    field = tensorly.datasets.load_indian_pines()
    return tl.to_numpy(field.tensor).astype(np.float32), field.ticks[0], field.ticks[1]


def test_all_patches_are_the_published_ones():
    published = [46, 1428, 830, 237, 483, 730, 28, 478, 20, 972, 2455, 593, 205, 1265, 386, 93]
    pines = load_indian_pines_patches(patch_size=1, n_most=None)
    image, truth, wavelengths = _field()
    assert np.bincount(pines.labels).tolist() == published
    assert len(np.unique(pines.positions, axis=0)) == sum(published)
    back = np.zeros_like(truth)
    back[tuple(pines.positions.T)] = pines.labels + 1
    np.testing.assert_array_equal(back, truth)
    np.testing.assert_array_equal(
        tl.to_numpy(pines.tensor)[:, 0, 0], image[tuple(pines.positions.T)]
    )
    assert pines.ticks[3].tolist() == wavelengths


@pytest.mark.parametrize("patch_size", [3, 5, 9])
def test_patches_lie_around_their_positions_and_reflect_at_the_edges(patch_size):
    pines = load_indian_pines_patches(patch_size=patch_size, n_most=25, random_state=1)
    image, truth, _ = _field()
    half = patch_size // 2
    patches = tl.to_numpy(pines.tensor)
    assert patches.shape[1:] == (patch_size, patch_size, 200)
    mirror = np.r_[0:145, 143:100:-1]  # an index of −1 or 145 is a step back into the image
    for patch, (row, column), label in zip(patches, pines.positions, pines.labels, strict=True):
        rows = mirror[np.abs(np.arange(row - half, row + half + 1))]
        columns = mirror[np.abs(np.arange(column - half, column + half + 1))]
        np.testing.assert_array_equal(patch, image[np.ix_(rows, columns)])
        assert truth[row, column] == label + 1
    assert pines.ticks[1].tolist() == list(range(-half, half + 1))


def test_edges_are_reflected():
    image = np.arange(6.0).reshape(2, 3, 1)
    (patch,) = _tensorly._patches(image, np.array([[0, 2]]), 3)
    np.testing.assert_array_equal(patch[..., 0], [[4, 5, 4], [1, 2, 1], [4, 5, 4]])


def test_at_most_so_many_of_each_crop():
    sizes = np.bincount(load_indian_pines_patches(patch_size=1, n_most=30).labels)
    assert sizes.tolist() == [30] * 6 + [28, 30, 20] + [30] * 7


def test_the_seed_draws_the_patches():
    def positions(seed):
        return load_indian_pines_patches(patch_size=1, random_state=seed).positions

    state = np.random.get_state()[1].copy()
    np.testing.assert_array_equal(positions(0), positions(0))
    np.testing.assert_array_equal(positions(0), load_indian_pines_patches().positions)
    assert not np.array_equal(positions(0), positions(1))
    generator = np.random.default_rng(0)
    assert not np.array_equal(positions(generator), positions(generator))
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"patch_size": 4}, ValueError, "patch_size must be odd, got 4"),
        ({"patch_size": 0}, ValueError, "patch_size must be at least 1 and at most 145, got 0"),
        ({"patch_size": 147}, ValueError, "patch_size must be at least 1 and at most 145, got 147"),
        ({"patch_size": 5.0}, TypeError, r"patch_size must be an integer, got 5\.0"),
        ({"n_most": 0}, ValueError, "n_most must be at least 1, got 0"),
        ({"n_most": "all"}, TypeError, "n_most must be an integer, got 'all'"),
        ({"random_state": "x"}, TypeError, "random_state must be None"),
    ],
)
def test_bad_arguments_of_indian_pines_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        load_indian_pines_patches(**arguments)
