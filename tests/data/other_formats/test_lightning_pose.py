from pathlib import Path

import pytest
from foreign_labels import brightness, write_image, write_table, xs

from sleap_nn.data.labels import load_labels
from sleap_nn.errors import DataError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    rows = []
    for i in (12, 3):
        write_image(tmp_path / "labeled-data" / "clip" / f"img{i}.png", i)
        rows.append(([f"labeled-data/clip/img{i}.png"], [i, 0, i, 1, "", ""]))
    write_table(tmp_path / "CollectedData.csv", rows)
    return tmp_path


@pytest.mark.parametrize("name", ["", "CollectedData.csv"])
def test_a_table_with_paths_from_its_own_folder(project: Path, name: str) -> None:
    labels = load_labels(project / name)
    assert brightness(labels) == xs(labels) == [12, 3]
    assert labels.skeletons[0].edges == []


def test_of_several_tables_one_has_to_be_named(project: Path) -> None:
    (project / "CollectedData_new.csv").write_text((project / "CollectedData.csv").read_text())
    with pytest.raises(DataError, match=r"CollectedData.csv, CollectedData_new.csv\); name one"):
        load_labels(project)
    assert len(load_labels(project / "CollectedData_new.csv")) == 2
