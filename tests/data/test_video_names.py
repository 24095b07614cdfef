import pytest
from sleap_io.model.video import Video

from sleap_nn.data.video_names import frame_name, video_names, video_origin


def video(filename: str | list[str], dataset: str | None = None, source: Video | None = None) -> Video:
    metadata = {} if dataset is None else {"dataset": dataset}
    return Video(filename, backend_metadata=metadata, source_video=source, open_backend=False)


def test_a_video_goes_by_its_file_name() -> None:
    assert video_names([video("/data/day1/left.mp4"), video("C:\\data\\right.mp4")]) == ["left.mp4", "right.mp4"]
    assert video_names([]) == []


def test_folders_tell_videos_of_one_name_apart() -> None:
    videos = [video("/a/day1/cam.mp4"), video("/a/day2/cam.mp4"), video("/b/day2/cam.mp4"), video("/a/other.mp4")]
    assert video_names(videos) == ["day1/cam.mp4", "a/day2/cam.mp4", "b/day2/cam.mp4", "other.mp4"]


def test_the_same_video_twice_has_one_name() -> None:
    assert video_names([video("/a/cam.mp4"), video("/a/cam.mp4")]) == ["cam.mp4", "cam.mp4"]
    assert video_origin(video("/a/cam.mp4")) == video_origin(video("\\a\\cam.mp4"))


def test_embedded_images_go_by_the_video_they_come_from() -> None:
    embedded = video("/x/labels.pkg.slp", "video0/video", video("/a/cam.mp4"))
    again = video("/y/second.pkg.slp", "video0/video", embedded)
    assert video_origin(embedded) == video_origin(again) == "/a/cam.mp4"


def test_embedded_images_of_single_files_go_by_the_package() -> None:
    source = video(["img1.png", "img2.png"])
    videos = [video("/x/labels.pkg.slp", f"video{i}/video", source) for i in range(2)]
    assert video_names(videos) == ["labels.pkg.slp:video0", "labels.pkg.slp:video1"]


def test_a_sequence_of_images_goes_by_its_folder() -> None:
    assert video_names([video(["/a/session/img1.png", "/a/session/img2.png"])]) == ["session"]
    assert video_names([video(["img1.png"])]) == ["img1.png"]


@pytest.mark.parametrize(
    ("described", "name"),
    [
        (video("/a/b/clip.mp4"), "clip.mp4, frame 1"),
        (video("C:\\a\\clip.mp4"), "clip.mp4, frame 1"),
        (video(["/a/x.png", "/a/y.png"]), "y.png, frame 1"),
        (video(["/a/session/x.png"]), "session, frame 1"),
        (video("/p/a.pkg.slp", "video3/video"), "a.pkg.slp:video3, frame 1"),
        (video("/p/a.pkg.slp", "video3/video", video("/a/clip.mp4")), "clip.mp4, frame 1"),
        (video("/p/a.pkg.slp", "video3/video", video(["/a/x.png", "/a/y.png"])), "y.png, frame 1"),
        (video("/p/a.pkg.slp", "video3/video", video(["/a/x.png"])), "a.pkg.slp:video3, frame 1"),
    ],
)
def test_a_frame_has_the_name_of_its_original(described: Video, name: str) -> None:
    assert frame_name(described, 1) == name
