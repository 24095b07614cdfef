from pathlib import Path

import pytest
from factories import make_labels

from sleap_nn.errors import ConfigError, MissingFileError
from sleap_nn.inference.run import default_output


@pytest.mark.parametrize("name", ["clip.mp4", "labels.pkg.slp", "labels.slp"])
def test_the_output_lies_beside_the_input(name: str) -> None:
    assert default_output(f"folder/{name}") == Path(f"folder/{name}.slp")


def test_one_video_of_a_labels_file_names_the_output(tmp_path: Path) -> None:
    path = tmp_path / "labels.pkg.slp"
    make_labels(2, path=path)
    assert default_output(path, 0) == tmp_path / "labels.pkg.labels.pkg.predictions.slp"
    with pytest.raises(ConfigError, match="video_index is 1"):
        default_output(path, 1)
    with pytest.raises(MissingFileError):
        default_output(tmp_path / "none.slp", 0)


def test_a_video_file_has_no_video_index(tmp_path: Path) -> None:
    assert default_output(tmp_path / "clip.mp4", 3) == tmp_path / "clip.mp4.slp"
