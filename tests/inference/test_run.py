from pathlib import Path

import pytest
import sleap_io as sio
from factories import make_labels
from phase_recorder import PhaseRecorder

from sleap_nn import heartbeat
from sleap_nn.errors import ConfigError, MissingFileError, UsageError
from sleap_nn.inference.output import default_output
from sleap_nn.inference.run import predict


@pytest.mark.parametrize("name", ["clip.mp4", "labels.pkg.slp", "labels.slp"])
def test_the_output_lies_beside_the_input(name: str) -> None:
    assert default_output(f"folder/{name}") == Path(f"folder/{name}.slp")


def test_the_output_of_a_folder_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path / "images")
    for name in (".", "../images"):
        assert default_output(name).resolve() == tmp_path / "images.slp"
    assert default_output("..", None, "track") == tmp_path.parent / f"{tmp_path.name}.predictions.slp"
    with pytest.raises(UsageError, match="is no video or labels file"):
        default_output("/")


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


def test_prediction_says_what_it_is_doing_and_how_far_it_is(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, told = PhaseRecorder(), []
    monkeypatch.setattr(heartbeat, "_HEARTBEAT", recorder)
    predict(
        str(trained / "labels.pkg.slp"),
        model_paths=trained / "models" / "run",
        device="cpu",
        progress_callback=lambda *step: told.append((*step, recorder.open[-1].done)),
    )
    assert recorder.names == ["reading the source", "loading the model", "predicting labels.pkg.slp"]
    assert (recorder.phases[-1].done, recorder.phases[-1].total) == (12, 12)
    assert told == [(4, 12, 4), (8, 12, 8), (12, 12, 12)]
    assert recorder.open == []


def test_videos_of_one_name_have_outputs_of_their_own(tmp_path: Path) -> None:
    labels = make_labels(2, path=tmp_path / "labels.slp", embed=False)
    videos = [sio.Video(str(tmp_path / folder / "clip.mp4"), open_backend=False) for folder in "ab"]
    sio.Labels(videos=videos, skeletons=[labels.skeleton]).save(str(tmp_path / "two.slp"), verbose=False)
    names = [default_output(tmp_path / "two.slp", index).name for index in (0, 1)]
    assert names == ["two.clip_0.predictions.slp", "two.clip_1.predictions.slp"]
