from pathlib import Path

import cv2
import numpy as np
import pytest

from sleap_nn.data.sources import VideoFrames, frame_size, open_video
from sleap_nn.errors import DataError
from sleap_nn.structures.sample import FrameKey


def images(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((16, 24), 10 * number, np.uint8))
        (folder / f"{name}.png").rename(folder / name)
    return folder


@pytest.mark.parametrize("names", [["a.png", "b.PNG", "c.Png"], ["a.PNG", "b.PNG"]])
def test_endings_of_images_may_be_of_either_case(tmp_path: Path, names: list[str]) -> None:
    video = open_video(images(tmp_path / "images", names))
    assert [Path(name).name for name in video.filename] == names
    assert video.shape == (len(names), 16, 24, 1)
    assert [VideoFrames([video]).read(FrameKey(0, i)).image.max() for i in range(len(names))] == [0, 10, 20][
        : len(names)
    ]


def test_a_damaged_image_costs_itself_and_is_named_alone(tmp_path: Path) -> None:
    folder = images(tmp_path / "images", ["a.png", "b.png", "c.png"])
    (folder / "a.png").write_bytes(b"no image")
    video = open_video(folder)
    assert frame_size(video) == (16, 24)
    source = VideoFrames([video])
    assert source.read(FrameKey(0, 1)).image.shape == (16, 24, 1)
    with pytest.raises(DataError) as caught:
        source.read(FrameKey(0, 0))
    assert f"the image {folder.as_posix()}/a.png, cannot be read" in str(caught.value)
    assert "b.png" not in str(caught.value)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="holds no images; put files of"):
        open_video(tmp_path / "images")
