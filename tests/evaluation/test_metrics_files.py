import json
import pickle

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
