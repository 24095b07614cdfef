"""Bad input: one sentence, an exit code that scripts see, and nothing lost."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import sleap_io as sio
from click.testing import CliRunner, Result
from factories import make_labels, make_skeleton, make_video

from sleap_nn.cli import cli


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)


def refused(result: Result, *words: str, code: int = 1) -> None:
    """Check that the command failed with one line that holds the words."""
    assert result.exit_code == code, result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert result.output.rstrip().endswith(line)
    assert "Traceback" not in result.output
    for word in words:
        assert word in line


def train(folder: Path, labels: Path | str, *overrides: str) -> Result:
    return run(
        "train",
        folder / "config.yaml",
        f"data_config.train_labels_path=['{labels}']",
        f"trainer_config.ckpt_dir='{folder / 'models'}'",
        *overrides,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(
        "model_config:\n"
        "  backbone_config: {unet: {filters: 4, max_stride: 8}}\n"
        "  head_configs: {single_instance: {confmaps: {sigma: 2.0, output_stride: 4}}}\n"
        "trainer_config: {save_ckpt: true, run_name: run, max_epochs: 1, min_train_steps_per_epoch: 1,"
        " trainer_accelerator: cpu}\n"
    )
    return tmp_path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder whose network was hardly trained."""
    from sleap_nn.training.model_trainer import ModelTrainer

    place = tmp_path_factory.mktemp("model")
    make_labels(4, path=place / "labels.pkg.slp")
    ModelTrainer(
        {
            "data_config": {"train_labels_path": [str(place / "labels.pkg.slp")]},
            "model_config": {
                "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
                "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
            },
            "trainer_config": {
                "save_ckpt": True,
                "ckpt_dir": str(place),
                "run_name": "run",
                "max_epochs": 1,
                "min_train_steps_per_epoch": 1,
                "trainer_accelerator": "cpu",
            },
        }
    ).train()
    return place / "run"


def test_a_missing_configuration_labels_file_or_video(folder: Path, model: Path) -> None:
    refused(run("train", folder / "none.yaml"), "none.yaml")
    refused(train(folder, folder / "none.slp"), "none.slp", "does not exist")
    refused(run("predict", "-i", folder / "none.mp4", "-m", model), "none.mp4", "does not exist")
    refused(run("predict", "-i", folder / "none.slp", "-m", folder), "none.slp", "does not exist")
    refused(run("eval", "-g", folder / "a.slp", "-p", folder / "b.slp"), "a.slp")


def test_labels_without_a_labelled_frame(folder: Path) -> None:
    empty = sio.Labels(videos=[sio.Video("clip.mp4", open_backend=False)], skeletons=[make_skeleton()])
    empty.save(str(folder / "empty.slp"), embed=False, verbose=False)
    refused(train(folder, folder / "empty.slp"), "no ", "label")


def test_labels_whose_instances_have_no_visible_point(folder: Path) -> None:
    labels = make_labels(3, path=folder / "labels.pkg.slp")
    for frame in labels:
        for instance in frame:
            instance.points["xy"] = np.nan
            instance.points["visible"] = False
    labels.save(str(folder / "hidden.slp"), embed=False, verbose=False)
    refused(train(folder, folder / "hidden.slp"), "visible", "label")


def test_labels_whose_video_is_gone(folder: Path) -> None:
    make_labels(4, path=folder / "labels.slp", embed=False)
    for clip in [*folder.glob("**/*.mp4"), *folder.glob("**/*.png")]:
        clip.unlink()
    refused(train(folder, folder / "labels.slp"), "does not exist", "video")


@pytest.mark.parametrize("embed", [True, False])
def test_labelled_frames_without_an_image_are_refused_before_training(folder: Path, embed: bool) -> None:
    labels = make_labels(4, path=folder / ("labels.pkg.slp" if embed else "labels.slp"), embed=embed)
    first = labels[0]
    for index in (100_000, 7 if embed else 100_007):
        instance = sio.Instance.from_numpy(first.instances[0].numpy(), skeleton=labels.skeleton)
        labels.append(sio.LabeledFrame(video=first.video, frame_idx=index, instances=[instance]))
    labels.save(str(folder / "more.slp"), embed=None if embed else False, verbose=False)
    result = train(folder, folder / "more.slp")
    refused(result, "2 labelled frame(s) have no image", "Frame 100000 of ", "delete these labels")
    assert "Starting training" not in result.output


def test_a_damaged_image_is_named_in_words(folder: Path) -> None:
    make_labels(4, path=folder / "labels.pkg.slp")
    with h5py.File(folder / "labels.pkg.slp", "r+") as file:
        images = file["video0/video"]
        images[1] = np.zeros_like(images[1])
    refused(train(folder, folder / "labels.pkg.slp"), "cannot be read (the image is damaged)")


def test_a_file_that_is_no_labels_file(folder: Path, model: Path) -> None:
    (folder / "text.slp").write_text("not a labels file")
    refused(train(folder, folder / "text.slp"), "text.slp", "labels file")
    with h5py.File(folder / "other.slp", "w") as file:
        file["data"] = [1, 2, 3]
    refused(train(folder, folder / "other.slp"), "other.slp", "labels file")
    (folder / "text.mp4").write_text("not a video")
    refused(run("predict", "-i", folder / "text.mp4", "-m", model), "text.mp4", "video")


def test_labels_files_with_different_skeletons(folder: Path) -> None:
    first = make_labels(4, path=folder / "first.pkg.slp")
    renamed = make_labels(4, path=folder / "second.pkg.slp")
    renamed.skeletons[0].rename_node("snout", "nose")
    renamed.save(str(folder / "second.slp"), embed=False, verbose=False)
    assert first.skeletons[0].node_names[0] == "snout"
    refused(train(folder, f"{folder / 'first.pkg.slp'}','{folder / 'second.slp'}"), "different skeletons", "nose")


def test_a_wrong_skeleton_in_evaluation(folder: Path) -> None:
    make_labels(4, path=folder / "truth.pkg.slp")
    other = make_labels(4, path=folder / "other.pkg.slp")
    for name in list(other.skeletons[0].node_names):
        other.skeletons[0].rename_node(name, f"x_{name}")
    other.save(str(folder / "other.slp"), embed=False, verbose=False)
    refused(run("eval", "-g", folder / "truth.pkg.slp", "-p", folder / "other.slp"), "node")


def test_a_corrupt_frame_in_the_middle_of_a_package(folder: Path, model: Path) -> None:
    make_labels(4, path=folder / "labels.pkg.slp")
    with h5py.File(folder / "labels.pkg.slp", "r+") as file:
        images = file["video0/video"]
        images[1] = np.zeros_like(images[1])
    result = run("predict", "-i", folder / "labels.pkg.slp", "-m", model, "-o", folder / "out.slp", "-d", "cpu")
    refused(result, "1 of 4", "could not be read")
    assert len(sio.load_slp(str(folder / "out.slp"))) == 3


def test_a_truncated_video_lists_what_is_missing_or_is_refused(folder: Path, model: Path) -> None:
    video = make_video(folder / "clip.mp4", num_frames=12)
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 3])
    refused(run("predict", "-i", video, "-m", model, "-o", folder / "out.slp", "-d", "cpu"), "clip.mp4")


def test_an_output_that_cannot_be_written_is_refused_before_predicting(folder: Path, model: Path) -> None:
    video = make_video(folder / "clip.mp4")
    (folder / "file").write_text("")
    refused(run("predict", "-i", video, "-m", model, "-o", folder / "file" / "out.slp"), "out.slp", "cannot be written")
    (folder / "folder.slp").mkdir()
    refused(run("predict", "-i", video, "-m", model, "-o", folder / "folder.slp"), "is a folder")
    make_labels(4, path=folder / "labels.pkg.slp")
    before = (folder / "labels.pkg.slp").read_bytes()
    refused(
        run("predict", "-i", folder / "labels.pkg.slp", "-m", model, "-o", folder / "labels.pkg.slp"),
        "is a file that is read",
        code=2,
    )
    assert (folder / "labels.pkg.slp").read_bytes() == before
    refused(
        train(folder, folder / "labels.pkg.slp", f"trainer_config.ckpt_dir='{folder / 'file' / 'models'}'"),
        "cannot be written",
    )


def test_a_checkpoint_of_no_bytes(folder: Path, model: Path) -> None:
    copy = shutil.copytree(model, folder / "copy")
    (copy / "best.ckpt").write_bytes(b"")
    video = make_video(folder / "clip.mp4")
    earlier = folder / "out.slp"
    earlier.write_bytes(b"earlier output")
    refused(run("predict", "-i", video, "-m", copy, "-o", earlier), "best.ckpt", "cannot be read")
    assert earlier.read_bytes() == b"earlier output"


@pytest.mark.parametrize("text", ["5-1", "1-3-7", "1-", "-3", "a", "1,,2"])
def test_a_frame_list_that_makes_no_sense_is_a_usage_error(folder: Path, model: Path, text: str) -> None:
    result = run("predict", "-i", folder / "clip.mp4", "-m", model, f"--frames={text}")
    assert result.exit_code == 2
    assert "--frames" in result.output


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model_config.backbone_config.unet.filters=65536", "weights, more than"),
        ("model_config.backbone_config.unet.filters=1000000000", "filters must be at most 65536"),
        ("data_config.preprocessing.max_height=60000", "until it has at most"),
        ("trainer_config.train_data_loader.batch_size=65536", "samples takes about"),
        ("trainer_config.run_name=../../escaped", "no folder inside"),
    ],
)
def test_a_training_that_no_machine_can_do(
    folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch, override: str, words: str
) -> None:
    monkeypatch.setattr("sleap_nn.training.memory.available_memory", lambda: 2**30)
    width = ["data_config.preprocessing.max_width=60000"] if "max_height" in override else []
    refused(train(folder, model.parent / "labels.pkg.slp", override, *width), words)
    assert not (folder / "models").exists()
    assert not (folder.parent / "escaped").exists()


@pytest.mark.parametrize(
    ("key", "value", "width", "words"),
    [
        ("filters: 4", "filters: 60000", 64, "weights, more than"),
        ("filters: 4", f"filters: {'9' * 400}", 64, "filters must be at most"),
        ("max_height: 64", "max_height: 65536", 65536, "until it has at most"),
    ],
)
def test_a_model_folder_that_no_machine_can_load(
    folder: Path, model: Path, key: str, value: str, width: int, words: str
) -> None:
    copy = shutil.copytree(model, folder / "copy")
    config = copy / "training_config.yaml"
    text = config.read_text()
    assert key in text
    text = text.replace(key, value, 1).replace(
        "max_width: 64", "max_width: 65536" if "65536" in value else "max_width: 64"
    )
    config.write_text(text)
    refused(run("predict", "-i", make_video(folder / "clip.mp4"), "-m", copy), words)


def test_names_of_videos_never_lead_out_of_the_folder_of_the_output(folder: Path) -> None:
    """Files of other formats are named after the videos of a labels file, which may say anything."""
    labels = make_labels(4, num_animals=1)
    names = ["../../escaped.mp4", "..\\..\\escaped.mp4", "/escaped.mp4", "../.."]
    skeleton, frames = labels.skeletons[0], []
    videos = [sio.Video(filename=name, open_backend=False) for name in names]
    for video, frame in zip(videos, labels, strict=True):
        points = sio.PredictedInstance.from_numpy(
            frame.instances[0].numpy(), skeleton=skeleton, point_scores=np.ones(len(skeleton.nodes)), score=1.0
        )
        frames.append(sio.LabeledFrame(video=video, frame_idx=0, instances=[points]))
    inside = folder / "a" / "b"
    inside.mkdir(parents=True)
    sio.Labels(frames, videos=videos, skeletons=[skeleton]).save(str(folder / "tracks.slp"), verbose=False)
    before = set(folder.parent.rglob("*"))
    out = ("-o", inside / "out.slp", "--output_format", "slp", "--output_format", "csv")
    result = run("track", "-i", folder / "tracks.slp", "-t", *out)
    assert result.exit_code == 0, result.output
    written = set(folder.parent.rglob("*")) - before
    assert len(written) == 1 + len(names)
    assert {path.parent for path in written} == {inside}
    assert not Path("/escaped.csv").exists()
    result = run("track", "-i", folder / "tracks.slp", "-t", "--video_index", 3)
    assert result.exit_code == 0, result.output
    assert {path.parent for path in set(folder.parent.rglob("*")) - before - written} == {folder}


def test_a_list_of_inputs_names_no_place_for_outputs(folder: Path, model: Path) -> None:
    (folder / "elsewhere").mkdir()
    make_video(folder / "elsewhere" / "clip.mp4", num_frames=2)
    (folder / "lists").mkdir()
    (folder / "lists" / "inputs.txt").write_text("../elsewhere/clip.mp4\n")
    result = run("predict", "-i", folder / "lists" / "inputs.txt", "-m", model, "-o", folder / "out", "-d", "cpu")
    assert result.exit_code == 0, result.output
    assert [path.name for path in (folder / "elsewhere").iterdir()] == ["clip.mp4"]
    assert any(path.name == "clip.mp4.slp" for path in (folder / "out").iterdir())
