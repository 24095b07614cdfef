import json
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

import sleap_nn.evaluation.metrics_files as metrics_files
from sleap_nn.errors import DataError, MissingFileError, OutputError
from sleap_nn.evaluation import Evaluator, load_metrics, write_metrics
from sleap_nn.evaluation.metrics_files import metrics_path


class Canary:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


@pytest.fixture
def metrics(golden_labels):
    return Evaluator(*golden_labels).evaluate()


def test_round_trip(metrics, tmp_path):
    archive, readable = write_metrics(metrics, tmp_path / "new" / "metrics.val.0")
    assert (archive.name, readable.name) == ("metrics.val.0.npz", "metrics.val.0.json")
    assert sorted(path.name for path in archive.parent.iterdir()) == [readable.name, archive.name]
    loaded = load_metrics(archive)
    np.testing.assert_equal(loaded, metrics)
    assert isinstance(loaded["mOKS"]["mOKS"], float)
    assert isinstance(loaded["visibility_metrics"]["tp"], int)
    assert loaded["distance_metrics"]["video_paths"] == metrics["distance_metrics"]["video_paths"]


def test_archive_holds_plain_arrays(metrics, tmp_path):
    archive, _ = write_metrics(metrics, tmp_path / "m.npz")
    with np.load(archive, allow_pickle=False) as entries:
        assert entries["voc_metrics/oks_voc.mAP"] == metrics["voc_metrics"]["oks_voc.mAP"]
        assert not any(entries[key].dtype.hasobject for key in entries.files)


def test_json_is_valid_and_leaves_out_pcks(metrics, tmp_path):
    metrics["distance_metrics"]["avg"] = float("inf")
    _, readable = write_metrics(metrics, tmp_path / "m.npz")

    def refuse(token):
        raise AssertionError(token)

    content = json.loads(readable.read_text(), parse_constant=refuse)
    assert content["distance_metrics"]["avg"] is None
    assert content["distance_metrics"]["dists"][4][2] is None
    assert "pcks" not in content["pck_metrics"]
    assert content["pck_metrics"]["thresholds"] == list(range(1, 11))


def test_metrics_without_pairs(make_labels, tmp_path):
    truth = make_labels({0: np.ones((1, 3, 2))})
    empty = Evaluator(truth, make_labels({0: np.empty((0, 3, 2))}, predicted=True)).evaluate()
    archive, readable = write_metrics(empty, tmp_path / "m")
    np.testing.assert_equal(load_metrics(archive), empty)
    assert json.loads(readable.read_text())["mOKS"]["mOKS"] is None


def test_run_folder_search_order(tmp_path):
    def write(name, value):
        np.savez(tmp_path / name, **{"mOKS/mOKS": value})

    with pytest.raises(FileNotFoundError, match=r"metrics\.test\.0\.npz"):
        load_metrics(tmp_path)
    for value, name in enumerate(
        ["metrics.val.npz", "val_pred_metrics.npz", "val_0_pred_metrics.npz", "metrics.val.0.npz"]
    ):
        write(name, value)
        assert load_metrics(tmp_path, "val")["mOKS"]["mOKS"] == value
        assert load_metrics(str(tmp_path))["mOKS"]["mOKS"] == value, "test falls back to val"
    write("metrics.test.0.npz", 10)
    assert load_metrics(tmp_path)["mOKS"]["mOKS"] == 10
    write(metrics_path(tmp_path, "train", 1).name, 11)
    assert load_metrics(tmp_path, "train", 1)["mOKS"]["mOKS"] == 11
    with pytest.raises(MissingFileError):
        load_metrics(tmp_path, "train", 0)
    with pytest.raises(MissingFileError, match=r"none\.npz"):
        load_metrics(tmp_path / "none.npz")


def test_archive_without_sections_is_returned_as_it_is(tmp_path):
    np.savez(tmp_path / "m.npz", a=np.arange(3), b=2.5)
    np.testing.assert_equal(load_metrics(tmp_path / "m.npz"), {"a": np.arange(3), "b": 2.5})


def test_pickled_archives_are_refused_or_read_from_json(metrics, tmp_path):
    path = tmp_path / "metrics.val.0.npz"
    np.savez(path, metrics=np.array({"mOKS": Canary()}, dtype=object))
    with pytest.raises(DataError, match="pickled objects"):
        load_metrics(path)
    with pytest.raises(DataError, match="pickled objects"):
        load_metrics(tmp_path, "val")
    _, readable = write_metrics(metrics, tmp_path / "other")
    readable.rename(tmp_path / "metrics.val.0.json")
    loaded = load_metrics(tmp_path, "val")
    del metrics["pck_metrics"]["pcks"]
    np.testing.assert_equal(loaded, metrics)


@pytest.mark.parametrize("content", [b"", b"no archive", pickle.dumps([1]), b"PK\x03\x04broken"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "m.npz").write_bytes(content)
    with pytest.raises(DataError, match="no archive of plain arrays"):
        load_metrics(tmp_path / "m.npz")


def test_broken_json_beside_a_pickled_archive(tmp_path):
    (tmp_path / "m.npz").write_bytes(b"")
    (tmp_path / "m.json").write_text("[1]")
    with pytest.raises(DataError, match="cannot be read as metrics"):
        load_metrics(tmp_path / "m.npz")


def test_failed_writing_leaves_the_old_file(metrics, tmp_path, monkeypatch):
    archive, _ = write_metrics(metrics, tmp_path / "m")
    before = archive.read_bytes()

    def fail(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metrics_files.Path, "replace", fail)
    with pytest.raises(OutputError, match="No space left"):
        write_metrics(metrics, tmp_path / "m")
    assert archive.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.json", "m.npz"]


def header(shape, dtype="<f8"):
    """Return the beginning of an array file that claims a shape."""
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header((10**12,)), r"claims the shape \(1000000000000,\)"),
        (header((10**12,), "|O"), r"claims the shape"),
        (header((-1,)) + b"\0" * 64, "."),
        (b"\x93NUMPY\x09\x00" + b"\0" * 100, "unknown version"),
        (b"nothing", "."),
    ],
)
def test_arrays_that_claim_more_than_they_hold(tmp_path, content, words):
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("voc_metrics/x.npy", content)
    with pytest.raises(DataError, match=f"m.npz is no archive of plain arrays .*{words}"):
        load_metrics(tmp_path / "m.npz")


def test_archives_that_unpack_to_more_than_metrics_have(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "m.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header((10**7,), "|u1") + bytes(10**7))
    assert load_metrics(tmp_path / "m.npz")["x"].size == 10**7
    monkeypatch.setattr(metrics_files, "MOST_BYTES", 10**6)
    tracemalloc.start()
    with pytest.raises(DataError, match="unpack to more than 1000000 bytes"):
        load_metrics(tmp_path / "m.npz")
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


def test_a_packed_array_that_is_broken(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header((1000,)) + np.random.default_rng(0).bytes(8000))
    content = bytearray((tmp_path / "m.npz").read_bytes())
    content[400:500] = bytes(100)
    (tmp_path / "m.npz").write_bytes(content)
    with pytest.raises(DataError, match="no archive of plain arrays"):
        load_metrics(tmp_path / "m.npz")


@pytest.mark.parametrize("text", ["[" * 100_000, "5", '{"a": 5}'])
def test_json_that_is_no_metrics(tmp_path, text):
    (tmp_path / "m.npz").write_bytes(b"")
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(DataError, match="cannot be read as metrics"):
        load_metrics(tmp_path / "m.npz")
