from pathlib import Path

from foreign_labels import write_dlc

from sleap_nn.data.labels import load_labels
from sleap_nn.inference.manifest import file_hash, labels_hash


def test_labels_of_many_files_are_known_by_what_they_say(tmp_path: Path) -> None:
    project = write_dlc(tmp_path / "project")
    before = labels_hash(load_labels(project), project)
    assert labels_hash(load_labels(project / "config.yaml"), project / "config.yaml") == before
    table = project / "labeled-data" / "b" / "CollectedData_me.csv"
    table.write_text(table.read_text().replace("img002.png,12", "img002.png,13"))
    assert labels_hash(load_labels(project), project) != before


def test_a_labels_file_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "labels.slp"
    labels = load_labels(write_dlc(tmp_path / "project"))
    labels.save(str(path), embed=False, verbose=False)
    assert labels_hash(labels, path) == file_hash(path)
