import pytest
import sleap_io as sio

from sleap_nn.data.sources import frame_name


def video(name: str | list[str], source: sio.Video | None = None, dataset: str | None = None) -> sio.Video:
    metadata = {} if dataset is None else {"dataset": dataset}
    return sio.Video(filename=name, source_video=source, open_backend=False, backend_metadata=metadata)


@pytest.mark.parametrize(
    ("described", "name"),
    [
        (video("/a/b/clip.mp4"), "clip.mp4, frame 1"),
        (video("C:\\a\\clip.mp4"), "clip.mp4, frame 1"),
        (video(["/a/x.png", "/a/y.png"]), "y.png, frame 1"),
        (video(["/a/x.png"]), "x.png, frame 1"),
        (video("/p/a.pkg.slp", dataset="video3/video"), "a.pkg.slp (video3), frame 1"),
        (video("/p/a.pkg.slp", video("/a/clip.mp4"), "video3/video"), "clip.mp4, frame 1"),
        (video("/p/a.pkg.slp", video("/p/b.pkg.slp", video(["/a/x.png", "/a/y.png"]))), "y.png, frame 1"),
    ],
)
def test_a_frame_has_the_name_of_its_original(described: sio.Video, name: str):
    assert frame_name(described, 1) == name
