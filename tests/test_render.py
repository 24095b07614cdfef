import logging
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import sleap_io as sio
from factories import make_labels, make_scene, make_video

from sleap_nn import render as verb
from sleap_nn.data.sources import open_video
from sleap_nn.data.video_paths import VideoPaths
from sleap_nn.errors import ConfigError, DataError, MissingFileError, OutputError
from sleap_nn.render import render

SIDE = 64


@pytest.fixture
def tracked(tmp_path: Path) -> Path:
    """Return a labels file with a tracked animal in frames 1, 2 and 4 of a video of 6 frames at 12.5 per second."""
    scene = make_scene(SIDE, SIDE)
    with sio.VideoWriter(str(tmp_path / "clip.mp4"), fps=12.5, codec="h264") as writer:
        for t in range(6):
            writer(scene.image(t))
    video = sio.load_video(str(tmp_path / "clip.mp4"))
    labels = make_labels(1)
    skeleton, track = labels.skeletons[0], sio.Track("ann")
    frames = [
        sio.LabeledFrame(
            video=video,
            frame_idx=t,
            instances=[sio.PredictedInstance.from_numpy(scene.points(t)[0], skeleton=skeleton, track=track, score=0.5)],
        )
        for t in (1, 2, 4)
    ]
    path = tmp_path / "found.slp"
    sio.Labels(frames, videos=[video], skeletons=[skeleton], tracks=[track]).save(str(path), verbose=False)
    return path


def decode(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def coloured(image: np.ndarray) -> int:
    """Return how many pixels are not grey."""
    return int((image.astype(int).max(axis=2) - image.astype(int).min(axis=2) > 40).sum())


def test_the_video_runs_from_the_first_to_the_last_frame_of_the_labels(tracked: Path):
    seen: list[tuple[int, int]] = []
    result = render(tracked, progress_callback=lambda done, total: seen.append((done, total)))
    assert (result.video, result.num_frames, result.gallery) == (tracked.with_name("found.overlay.mp4"), 4, None)
    frames = decode(result.video)
    assert [coloured(frame) > 20 for frame in frames] == [True, True, False, True]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with av.open(str(result.video)) as container:
        assert container.streams.video[0].average_rate == 12.5
    plain = sio.load_video(str(tracked.with_name("clip.mp4")))[3]
    assert np.abs(frames[2].astype(int) - plain).mean() < 6


def test_frames_are_chosen(tracked: Path, tmp_path: Path):
    out = tmp_path / "new" / "out.mp4"
    assert render(tracked, output_path=out, frames="0-5").num_frames == 6
    assert render(tracked, output_path=out, only_listed_frames=True).num_frames == 3
    result = render(tracked, output_path=out, frames=[4], video_index=0, scale=2, fps=5)
    assert result.num_frames == 1
    (frame,) = decode(out)
    assert frame.shape == (2 * SIDE, 2 * SIDE, 3)
    with av.open(str(out)) as container:
        assert container.streams.video[0].average_rate == 5


def test_points_are_drawn_where_they_are(tracked: Path, tmp_path: Path):
    render(tracked, output_path=tmp_path / "a.mp4", scale=4, labels=False, edges=False, quality=0, marker_size=6)
    drawn = decode(tmp_path / "a.mp4")[0].astype(int)
    mask = drawn[..., 2] - drawn[..., 0] > 60
    for x, y in sio.load_slp(str(tracked))[0].instances[0].numpy():
        if 0 < x < SIDE - 1 and 0 < y < SIDE - 1:
            assert mask[round(4 * y + 1.5), round(4 * x + 1.5)]


def test_trails_and_the_gallery(tracked: Path, tmp_path: Path):
    plain, trailed = tmp_path / "a.mp4", tmp_path / "b.mp4"
    thin = {"edges": False, "labels": False, "marker_size": 1, "scale": 4}
    render(tracked, output_path=plain, **thin)
    result = render(tracked, output_path=trailed, trail=3, gallery=tmp_path / "c.png", **thin)
    differences = [np.abs(a.astype(int) - b).max() for a, b in zip(decode(plain), decode(trailed), strict=True)]
    assert differences[1] > 15 > differences[0], differences
    assert result.gallery == tmp_path / "c.png"
    assert cv2.imread(str(result.gallery)).shape[1] > 3 * SIDE
    alone = render(tracked, gallery=tmp_path / "d.jpg", gallery_frames=1)
    assert (alone.video, alone.num_frames) == (None, 0)
    assert (tmp_path / "d.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert not tracked.with_name("found.overlay.mp4").exists()


def test_trails_do_not_depend_on_the_frames_that_are_chosen(tracked: Path, tmp_path: Path):
    """A trail that would begin with the first frame, or jump from frame to frame, would say where no animal was."""
    labels = sio.load_slp(str(tracked))
    for frame, x in zip(labels, (10, 50, 10), strict=True):
        frame.instances[0].points["xy"] = np.array([x, 10 + 10 * frame.frame_idx])
    labels.save(str(tracked), verbose=False)
    look = {"trail": 5, "labels": False, "marker_size": 1, "quality": 0}
    whole = decode(render(tracked, output_path=tmp_path / "whole.mp4", **look).video)
    for name, frames, shown in (("one.mp4", "4", [3]), ("two.mp4", "1,4", [0, 3])):
        part = decode(render(tracked, output_path=tmp_path / name, frames=frames, **look).video)
        for image, number in zip(part, shown, strict=True):
            assert np.abs(image.astype(int) - whole[number]).max() < 25
    assert coloured(whole[3]) > 60


def test_options_of_an_output_that_is_not_written_are_named(tracked: Path, tmp_path: Path, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    render(tracked, gallery=tmp_path / "a.png", gallery_frames=2, trail=5, fps=3.0)
    render(tracked, output_path=tmp_path / "a.mp4", gallery_by="lowest_score", trail=5)
    assert [message for message in caplog.messages if "no effect" in message] == [
        "Without a video (output_path) this has no effect: fps, trail.",
        "Without gallery this has no effect: gallery_by.",
    ]


def test_labels_in_memory_and_embedded_images(tmp_path: Path):
    labels = make_labels(3, path=tmp_path / "labels.pkg.slp")
    assert render(labels, output_path=tmp_path / "a.mp4").num_frames == 3
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].average_rate == verb.FPS_OF_IMAGES
    with pytest.raises(ConfigError, match="output_path or gallery"):
        render(labels)


def test_frames_without_instances_are_one_sentence(tracked: Path):
    with pytest.raises(DataError, match=r"None of the chosen frames .* frames 1 to 4"):
        render(tracked, frames="0,5")
    assert not tracked.with_name("found.overlay.mp4").exists()


def test_a_missing_video_is_one_sentence_unless_it_has_moved(tracked: Path, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    moved = (tmp_path / "clip.mp4").rename(tmp_path / "elsewhere" / "other.mp4")
    for options in ({}, {"gallery": tmp_path / "a.png"}):
        with pytest.raises(MissingFileError, match=r"clip\.mp4 of the labels does not exist"):
            render(tracked, **options)
    assert render(tracked, video_paths=VideoPaths(video_paths=(str(moved),))).num_frames == 4
    with pytest.raises(MissingFileError, match="does not exist"):
        render(tmp_path / "nothing.slp")


def test_outputs_that_cannot_be_written(tracked: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    before = (tmp_path / "clip.mp4").read_bytes()
    for options in (
        {"output_path": tmp_path / "file" / "a.mp4"},
        {"output_path": tmp_path / "clip.mp4"},
        {"output_path": tmp_path / "a.mp4", "gallery": tmp_path / "file" / "a.png"},
    ):
        with pytest.raises(OutputError):
            render(tracked, **options)
    assert (tmp_path / "clip.mp4").read_bytes() == before
    assert not (tmp_path / "a.mp4").exists()


def test_several_videos_need_a_choice(tmp_path: Path):
    labels = make_labels(4, num_clips=2, embed=False, path=tmp_path / "labels.slp")
    with pytest.raises(ConfigError, match=r"on 2 videos \(0, 1\); choose one with video_index"):
        render(labels, output_path=tmp_path / "a.mp4")
    assert render(labels, output_path=tmp_path / "a.mp4", video_index=1).num_frames == 11
    assert render(labels, gallery=tmp_path / "a.png").gallery is not None


def test_frames_that_cannot_be_read_are_black(tracked: Path, monkeypatch, caplog):
    read = verb.VideoFrames.read
    broken = {2}

    def fail(source, key):
        if key.frame in broken:
            raise DataError(f"Frame {key.frame} cannot be read.")
        return read(source, key)

    monkeypatch.setattr(verb.VideoFrames, "read", fail)
    frames = decode(render(tracked, labels=False).video)
    assert (frames[0][-8:, :8].min() > 30, frames[1][-8:, :8].max() < 30) == (True, True)
    assert coloured(frames[1]) > 20
    assert "1 of 4 frames of the video cannot be read and are black: Frame 2 " in caplog.text
    render(tracked, gallery=tracked.with_name("a.png"))
    assert "1 of 3 frames of the gallery cannot be read and are black: Frame 2 " in caplog.text
    broken |= {1, 3, 4}
    with pytest.raises(DataError, match="None of the 3 frames can be read"):
        render(tracked, gallery=tracked.with_name("b.png"))
    with pytest.raises(DataError, match="None of the 4 frames can be read"):
        render(tracked, output_path=tracked.with_name("new.mp4"))
    assert not tracked.with_name("new.mp4").exists()


def test_images_of_several_sizes_are_fitted_into_the_first(tmp_path: Path):
    (tmp_path / "images").mkdir()
    for number, (height, width) in enumerate(((48, 64), (96, 64), (24, 32))):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), np.full((height, width), 200, np.uint8))
    video, skeleton = open_video(tmp_path / "images"), sio.Skeleton(["a"])
    frames = [
        sio.LabeledFrame(
            video=video, frame_idx=i, instances=[sio.PredictedInstance.from_numpy(np.full((1, 2), 12.0), skeleton)]
        )
        for i in range(3)
    ]
    labels = sio.Labels(frames, videos=[video], skeletons=[skeleton])
    images = decode(render(labels, output_path=tmp_path / "a.mp4", marker_size=2, quality=0).video)
    assert [image.shape for image in images] == [(48, 64, 3)] * 3
    assert [(image.mean(axis=2) > 100).any(axis=0).sum() for image in images] == [64, 32, 64]
    for image, place in zip(images, (12, 6, 24), strict=True):
        colour = image.astype(int).max(axis=2) - image.astype(int).min(axis=2)
        rows, columns = np.nonzero(colour > 60)
        assert max(abs(rows.mean() - place), abs(columns.mean() - place)) < 1.5


def test_frames_that_a_shorter_video_lacks_are_named(tracked: Path, tmp_path: Path, caplog):
    make_video(tmp_path / "short.mp4", num_frames=3, height=SIDE, width=SIDE)
    moved = VideoPaths(video_paths=(str(tmp_path / "short.mp4"),))
    assert render(tracked, output_path=tmp_path / "a.mp4", video_paths=moved).num_frames == 2
    assert "1 frames of the labels are left out, because video 0 does not have them." in caplog.text


def test_the_truth_is_drawn_too(tracked: Path, tmp_path: Path):
    truth = sio.load_slp(str(tracked))
    for frame in truth:
        frame.instances = [
            sio.Instance.from_numpy(frame.instances[0].numpy() + 5, skeleton=frame.instances[0].skeleton)
        ]
    truth.save(str(tmp_path / "truth.slp"), verbose=False)
    for name, options in (("a.mp4", {}), ("b.mp4", {"truth": tmp_path / "truth.slp"})):
        render(tracked, output_path=tmp_path / name, **options)
    plain, compared = (decode(tmp_path / name) for name in ("a.mp4", "b.mp4"))
    changed = [(np.abs(a.astype(int) - b).max(axis=2) > 60).sum() for a, b in zip(plain, compared, strict=True)]
    assert min(changed[0], changed[1], changed[3]) > 20
    assert changed[2] == 0


def test_an_option_that_does_not_exist(tracked: Path):
    with pytest.raises(TypeError, match="colour"):
        render(tracked, colour="red")


def test_a_video_is_no_labels_file(tracked: Path):
    with pytest.raises(DataError, match=r"clip\.mp4 is not recognised as labels"):
        render(tracked.with_name("clip.mp4"))
