import logging
from pathlib import Path

import numpy as np
import pytest
import yaml
from foreign_labels import NODES, brightness, write_dlc, write_image, write_table, xs

from sleap_nn.data.labels import load_labels
from sleap_nn.errors import DataError, MissingFileError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_dlc(tmp_path / "project")


@pytest.mark.parametrize("name", ["", "config.yaml"])
def test_a_project_is_read_with_its_edges_and_every_point_on_its_image(project: Path, name: str) -> None:
    labels = load_labels(project / name)
    assert xs(labels) == [0, 1, 2, 10, 11, 12]
    assert brightness(labels) == [0, 1, 2, 50, 51, 52]
    assert labels.skeletons[0].node_names == list(NODES)
    assert labels.skeletons[0].edge_names == [("snout", "left")]
    assert len(labels.videos) == 2
    assert labels.tracks == []
    np.testing.assert_array_equal(labels[1].instances[0].numpy(), [[1, 0], [1, 1], [1, 2]])


def test_a_table_alone_and_the_one_beside_an_h5(project: Path) -> None:
    table = project / "labeled-data" / "b" / "CollectedData_me.csv"
    labels = load_labels(table)
    assert brightness(labels) == [50, 51, 52]
    assert labels.skeletons[0].edge_names == [("snout", "left")]
    table.with_suffix(".h5").write_bytes(b"pickled")
    assert xs(load_labels(table.with_suffix(".h5"))) == [10, 11, 12]
    table.unlink()
    with pytest.raises(DataError, match=r"can run code; put CollectedData_me.csv beside it"):
        load_labels(table.with_suffix(".h5"))
    with pytest.raises(DataError, match="can run code"):
        load_labels(project)


def test_a_missing_image_is_refused_where_images_are_needed_and_shifts_nothing(project: Path) -> None:
    (project / "labeled-data" / "a" / "img001.png").unlink()
    with pytest.raises(MissingFileError, match=r"1 of the 6 images of .*img001.png; put them"):
        load_labels(project)
    labels = load_labels(project, open_videos=False)
    names = [Path(frame.video.filename[frame.frame_idx]).name for frame in labels]
    assert sorted(zip(names, xs(labels), strict=True)) == sorted(
        zip(["img000.png", "img001.png", "img002.png"] * 2, [0, 1, 2, 10, 11, 12], strict=True)
    )


def test_names_of_windows_a_moved_folder_and_several_animals(tmp_path: Path) -> None:
    place = tmp_path / "moved"
    for i in range(2):
        write_image(place / f"img{i}.png", i)
    rows = [([f"labeled-data\\old\\img{i}.png"], [i, 1, "", "", "nan", 3, 5 + i, 6, 7, 8, 9, 10]) for i in (1, 0)]
    nodes = ("b", "a", "c")
    labels = load_labels(write_table(place / "CollectedData_me.csv", rows, animals=("x", "y"), nodes=nodes))
    assert brightness(labels) == xs(labels) == [1, 0]
    assert labels.skeletons[0].node_names == list(nodes)
    assert [instance.track.name for instance in labels[0].instances if instance.track] == ["x", "y"]
    np.testing.assert_array_equal(labels[0].instances[0].numpy(), [[1, 1], [np.nan] * 2, [np.nan] * 2])


def test_an_animal_without_a_point_is_no_instance(tmp_path: Path) -> None:
    write_image(tmp_path / "img0.png")
    table = write_table(tmp_path / "CollectedData.csv", [(["img0.png"], [""] * 6 + [1] * 6)], animals=("x", "y"))
    (instance,) = load_labels(table)[0].instances
    assert instance.track is not None
    assert instance.track.name == "y"


@pytest.mark.parametrize(
    ("name", "cells", "words"),
    [
        ("img0.png", [1, 2, 3, 4, 5, "six"], "'six', which is no position"),
        ("img0.png", [1, 2, 3, 4, 5, "inf"], "'inf', which is no position"),
        ("img0.png", [1, 2, 3, 4, 5], "6 cells, not 7"),
        ("17", [1, 2, 3, 4, 5, 6], "row for '17', which is no image"),
    ],
)
def test_a_row_that_is_not_understood_is_refused(tmp_path: Path, name: str, cells: list, words: str) -> None:
    write_image(tmp_path / "img0.png")
    with pytest.raises(DataError, match=words):
        load_labels(write_table(tmp_path / "CollectedData.csv", [([name], cells)]))


def test_tables_of_other_things_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "img0.png")
    cells = [1, 2, 0.9] * 3
    predictions = write_table(tmp_path / "p.csv", [(["0"], cells)], values=("x", "y", "likelihood"))
    with pytest.raises(DataError, match=r"holds predictions \(columns named likelihood\)"):
        load_labels(predictions)
    with pytest.raises(DataError, match="each once; keep the labels of one scorer"):
        load_labels(write_table(tmp_path / "d.csv", [(["img0.png"], [1, 2, 3, 4])], nodes=("a", "a")))
    (tmp_path / "other.csv").write_text("frame,x,y\n1,2,3\n")
    with pytest.raises(DataError, match="no table of labels of DeepLabCut"):
        load_labels(tmp_path / "other.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match="no table of labels"):
        load_labels(tmp_path / "empty.csv")
    with pytest.raises(DataError, match="twice"):
        load_labels(write_table(tmp_path / "t.csv", [(["img0.png"], [1] * 6)] * 2))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as labels"):
        load_labels(tmp_path / "binary.csv")


def test_a_project_that_is_not_clear_is_refused(project: Path) -> None:
    place = project / "labeled-data" / "a"
    config = yaml.safe_load((project / "config.yaml").read_text()) | {"scorer": "you"}
    (project / "config.yaml").write_text(yaml.safe_dump(config))
    assert len(load_labels(project)) == 6
    (place / "CollectedData_other.csv").write_text((place / "CollectedData_me.csv").read_text())
    with pytest.raises(DataError, match="several scorers"):
        load_labels(project)
    for table in project.glob("labeled-data/*/*.csv"):
        table.unlink()
    with pytest.raises(DataError, match="label frames in DeepLabCut first"):
        load_labels(project)


def test_a_configuration_that_stands_for_more_than_memory_holds(project: Path) -> None:
    lines = ["bodyparts: &a0 [x, x]", *(f"b{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40)), "scorer: *a39"]
    (project / "config.yaml").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"config\.yaml"):
        load_labels(project / "config.yaml")
    assert len(load_labels(project / "labeled-data" / "a" / "CollectedData_me.csv")) == 3


def test_edges_of_keypoints_that_are_not_labelled_are_named(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="sleap_nn"):
        load_labels(project)
    assert "1 edge(s) of config.yaml join keypoints that are not labelled" in caplog.text
