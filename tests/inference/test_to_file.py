import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sleap_io as sio
import torch
from factories import make_video

from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.data.media import MediaReader
from sleap_nn.errors import ConfigError, DataError, OutputError
from sleap_nn.inference import Predictor, predict, to_file
from sleap_nn.inference.journal import JournalWriter, read_chunks, read_contents
from sleap_nn.inference.output import Output
from sleap_nn.inference.predictor import MissingFramesError
from sleap_nn.inference.run import predict_selection, read_source
from sleap_nn.inference.to_file import Writing
from sleap_nn.stages.follow import RoiSettings
from sleap_nn.stages.stream import DoneFrames


class Stopped(BaseException):
    """Stands for whatever ends a process."""


@pytest.fixture
def run(trained: Path) -> Path:
    return trained / "models" / "run"


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_video(tmp_path / "clip.mp4", num_frames=23)


@pytest.fixture
def still_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass, as the times of a run are part of its output."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr(to_file, "datetime", Clock)
    monkeypatch.setattr(to_file.time, "monotonic", lambda: 0.0)


def write(run: Path, video: Path, output: Path, batch_size: int = 4, **options: Any) -> Path:
    predictor = Predictor.from_model_paths(run, batch_size=batch_size)
    return Path(predictor.predict_to_file(video, output, **options))


def stop_after(monkeypatch: pytest.MonkeyPatch, num_chunks: int, error: BaseException) -> None:
    """Let the next run end at a chunk; a disk that is full makes the chunk itself fail."""
    original = JournalWriter.append
    count = 0

    def append(self: JournalWriter, batches: list[DoneFrames], seconds: float) -> None:
        nonlocal count
        count += 1
        if count > num_chunks:
            raise error
        original(self, batches, seconds)

    monkeypatch.setattr(JournalWriter, "append", append)


def test_the_file_holds_what_predict_returns(run: Path, video: Path, tmp_path: Path) -> None:
    expected = predict(video, model_paths=run, device="cpu")
    path = write(run, video, tmp_path / "out.slp", write_interval=5)
    assert path == (tmp_path / "out.slp").resolve()
    found = sio.load_slp(str(path))
    assert [frame.frame_idx for frame in found] == list(range(23))
    assert found.video.filename == str(video)
    assert found.skeleton.node_names == expected.skeleton.node_names
    np.testing.assert_array_equal(found.numpy(return_confidence=True), expected.numpy(return_confidence=True))
    assert found.provenance.keys() == expected.provenance.keys() | {"filename"}
    assert not path.with_name("out.slp.journal").exists()
    manifest = json.loads(path.with_name("out.slp.manifest.json").read_text())
    assert manifest["frames"] == {"requested": 23, "predicted": 23, "failed": 0}
    assert manifest["instances"] == sum(len(frame.instances) for frame in found)
    assert manifest["made_from"]["weights"]["single_instance"] != manifest["outputs"]["out.slp"]
    assert manifest["made_from"]["settings"]["single_instance"]["peak_threshold"] == 0.2


@pytest.mark.usefixtures("still_clock")
@pytest.mark.parametrize("num_chunks", [0, 1, 3, 5])
@pytest.mark.parametrize("failing", [(), (0, 9, 10, 22)])
def test_a_run_that_goes_on_ends_in_the_same_bytes(
    run: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_chunks: int, failing: tuple[int, ...]
) -> None:
    original = MediaReader.read

    def read(self: MediaReader, number: int) -> np.ndarray:
        if number in failing:
            raise DataError(f"Frame {number} is broken.")
        return original(self, number)

    monkeypatch.setattr(MediaReader, "read", read)
    output = tmp_path / "out.slp"
    contents = []
    for interrupted in (False, True):
        with monkeypatch.context() as patch:
            if interrupted:
                stop_after(patch, num_chunks, Stopped())
                with pytest.raises(Stopped):
                    write(run, video, output, write_interval=4)
                assert not output.exists()
        try:
            write(run, video, output, write_interval=4, resume=interrupted)
        except MissingFramesError as error:
            assert tuple(failure.key.frame for failure in error.failures) == failing
        contents.append((output.read_bytes(), output.with_name("out.slp.manifest.json").read_bytes()))
        output.unlink()
    assert contents[0] == contents[1]


@pytest.mark.usefixtures("still_clock")
def test_size_of_chunks_changes_nothing(run: Path, video: Path, tmp_path: Path) -> None:
    contents = set()
    for write_interval in (1, 7, 500):
        contents.add(write(run, video, tmp_path / "out.slp", write_interval=write_interval).read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_size_of_batches_changes_no_result(run: Path, video: Path, tmp_path: Path, batch_size: int) -> None:
    expected = sio.load_slp(str(write(run, video, tmp_path / "a.slp"))).numpy(return_confidence=True)
    found = sio.load_slp(str(write(run, video, tmp_path / "b.slp", batch_size))).numpy(return_confidence=True)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_ctrl_c_keeps_everything_and_says_how_to_go_on(
    run: Path, video: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def press(done: int, _total: int) -> None:
        if done >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(run, video, tmp_path / "out.slp", progress_callback=press)
    assert "Stopped after 12 of 23 frames, which are safe; give the same command with --resume" in caplog.text
    contents = read_contents(tmp_path / "out.slp.journal")
    assert contents is not None
    assert contents.num_frames == 12  # although the chunk of 500 was not full
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "out.slp.journal"]
    seen: list[int] = []
    write(run, video, tmp_path / "out.slp", resume=True, progress_callback=lambda done, _: seen.append(done))
    assert seen[0] == 16
    assert len(sio.load_slp(str(tmp_path / "out.slp"))) == 23


def test_a_full_disk_loses_nothing(run: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.fsync
    calls = 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 4:
            raise OSError(28, "No space left on device")
        original(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OutputError, match=r"No space left on device.*--resume"):
            write(run, video, tmp_path / "out.slp", write_interval=4)
    contents = read_contents(tmp_path / "out.slp.journal")
    assert contents is not None
    assert contents.num_frames in (8, 12)
    assert len(sio.load_slp(str(write(run, video, tmp_path / "out.slp", resume=True)))) == 23


def test_a_full_disk_at_the_end_keeps_the_journal(
    run: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("sleap_nn.inference.slp_writer.write_labels", full)
        with pytest.raises(OutputError, match=r"No space left.*All frames are safe in .*journal.*--resume"):
            write(run, video, tmp_path / "out.slp")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "out.slp.journal"]
    with monkeypatch.context() as patch:  # nothing is predicted again
        patch.setattr(Predictor, "batches", lambda *_: pytest.fail("predicted again"))
        write(run, video, tmp_path / "out.slp", resume=True)
    assert len(sio.load_slp(str(tmp_path / "out.slp"))) == 23


@pytest.fixture
def interrupted(run: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the output of a run that was stopped after 8 frames."""
    with monkeypatch.context() as patch:
        stop_after(patch, 2, Stopped())
        with pytest.raises(Stopped):
            write(run, video, tmp_path / "out.slp", write_interval=4)
    yield tmp_path / "out.slp"
    assert sum(map(len, read_chunks(tmp_path / "out.slp.journal"))) == 8


def test_a_journal_is_not_overwritten_unasked(run: Path, video: Path, interrupted: Path) -> None:
    with pytest.raises(OutputError, match=r"holds 8 of 23 frames of an interrupted prediction; add --resume"):
        write(run, video, interrupted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"peak_threshold": 0.3}, r"settings\.single_instance\.peak_threshold was 0\.2 and is 0\.3"),
        ({"frames": range(10)}, r"input\.frames was 23 and is 10"),
    ],
)
def test_a_journal_of_other_options_is_refused(
    run: Path, video: Path, interrupted: Path, options: dict, message: str
) -> None:
    with pytest.raises(OutputError, match=message + "; repeat the options of that run, or delete the journal"):
        write(run, video, interrupted, resume=True, **options)


def test_a_journal_of_other_weights_or_of_another_video_is_refused(
    run: Path, video: Path, interrupted: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(run, tmp_path / "elsewhere" / "run")
    state = torch.load(other / "best.ckpt", weights_only=True)
    next(iter(state["state_dict"].values())).add_(0.01)
    torch.save(state, other / "best.ckpt")
    with pytest.raises(OutputError, match=r"weights\.single_instance is not the same"):
        write(other, video, interrupted, resume=True)
    another = make_video(tmp_path / "elsewhere" / "clip.mp4", num_frames=23, seed=3)
    with pytest.raises(OutputError, match=r"input\.content is not the same"):
        write(run, another, interrupted, resume=True)


def test_a_journal_whose_beginning_is_damaged_is_not_overwritten(run: Path, video: Path, interrupted: Path) -> None:
    path = interrupted.with_name("out.slp.journal")
    before = path.read_bytes()
    path.write_bytes(before[:60] + b"?" + before[61:])
    for resume in (False, True):
        with pytest.raises(OutputError, match=r"cannot be read as a journal \(its first record is damaged\); move it"):
            write(run, video, interrupted, resume=resume)
    path.write_bytes(before)


@pytest.mark.usefixtures("still_clock")
@pytest.mark.parametrize("damage", [lambda data: data + bytes(5000), lambda data: data[:-900] + bytes(900)])
def test_zeros_of_a_power_cut_change_nothing(
    run: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes]
) -> None:
    expected = write(run, video, tmp_path / "out.slp").read_bytes()
    with monkeypatch.context() as patch:
        stop_after(patch, 3, Stopped())
        with pytest.raises(Stopped):
            write(run, video, tmp_path / "out.slp", write_interval=4)
    journal = tmp_path / "out.slp.journal"
    journal.write_bytes(damage(journal.read_bytes()))
    assert write(run, video, tmp_path / "out.slp", resume=True).read_bytes() == expected


def test_an_output_never_says_that_frames_are_in_it_which_are_not(
    run: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = to_file.read_chunks
    monkeypatch.setattr(to_file, "read_chunks", lambda path: list(original(path))[1:])
    with pytest.raises(DataError, match=r"out\.slp\.journal says .* done, but gives 15 of 23 frames; delete it"):
        write(run, video, tmp_path / "out.slp", write_interval=8)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "out.slp.journal"]


def test_resuming_where_nothing_is_left_begins(run: Path, video: Path, tmp_path: Path) -> None:
    (tmp_path / "out.slp.journal").write_bytes(b"")
    assert len(sio.load_slp(str(write(run, video, tmp_path / "out.slp", resume=True)))) == 23


def test_what_is_finished_is_not_predicted_again(
    run: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A run over many inputs that is given again with --resume goes on with the first that is not done."""
    caplog.set_level("INFO", logger="sleap_nn")
    files = [tmp_path / "out.slp", tmp_path / "out.csv"]
    options: dict[str, Any] = {"output_path": files[0], "output_format": ["slp", "csv"], "resume": True}
    first = predict(video, model_paths=run, device="cpu", **options)
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    seen: list[tuple[int, int]] = []
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "batches", None)
        again = predict(
            video, model_paths=run, device="cpu", progress_callback=lambda *done: seen.append(done), **options
        )
    assert "out.slp is finished already" in caplog.text
    assert seen == [(23, 23)]
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in files] == before
    np.testing.assert_array_equal(again.numpy(return_confidence=True), first.numpy(return_confidence=True))
    manifest = json.loads((tmp_path / "out.slp.manifest.json").read_text())
    assert (manifest["frames_written"], manifest["written_as"]["formats"]) == (23, ["slp", "csv"])


@pytest.mark.parametrize(
    "change",
    [
        {"resume": False},
        {"peak_threshold": 0.3},
        {"clean_empty_frames": True},
        {"output_format": ["slp", "analysis_h5"]},
        {"embed": "true"},
        {"tracker_config": TrackerConfig()},
        {"frames": range(22)},
        "damaged",
        "gone",
    ],
    ids=str,
)
def test_what_differs_or_is_damaged_is_predicted_again(
    run: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any] | str
) -> None:
    options: dict[str, Any] = {"output_path": tmp_path / "out.slp", "resume": True, "output_format": ["slp", "csv"]}
    predict(video, model_paths=run, device="cpu", **options)
    if isinstance(change, dict):
        options |= change
    elif change == "gone":
        (tmp_path / "out.csv").unlink()
    else:
        with (tmp_path / "out.csv").open("a") as file:
            file.write("1")
    monkeypatch.setattr(Predictor, "batches", lambda *_: (_ for _ in ()).throw(Stopped()))
    with pytest.raises(Stopped):
        predict(video, model_paths=run, device="cpu", **options)


def test_missing_frames_of_what_is_finished_are_named_again(
    run: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = MediaReader.read

    def read(self: MediaReader, number: int) -> np.ndarray:
        if number == 9:
            raise DataError("Frame 9 is broken.")
        return original(self, number)

    monkeypatch.setattr(MediaReader, "read", read)
    messages = []
    for _ in range(2):
        with pytest.raises(MissingFramesError, match=r"1 of 23 .* Frame 9 is broken") as caught:
            write(run, video, tmp_path / "out.slp", resume=True)
        messages.append((str(caught.value), caught.value.failures))
        monkeypatch.setattr(Predictor, "batches", None)
    assert messages[0] == messages[1]


def test_the_provenance_tells_the_options_of_the_run_that_finished(
    run: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"model_paths": run, "device": "cpu", "output_path": tmp_path / "out.slp"}
    with monkeypatch.context() as patch:
        stop_after(patch, 1, Stopped())
        with pytest.raises(Stopped):
            predict(video, write_interval=4, cli_args={"tracking": False}, **options)
    labels = predict(
        video, resume=True, cli_args={"tracking": True, "resume": True}, tracker_config=TrackerConfig(), **options
    )
    assert labels.provenance["cli_args"] == {"tracking": True}
    manifest = json.loads((tmp_path / "out.slp.manifest.json").read_text())
    assert manifest["written_as"]["tracking"]["window_size"] == TrackerConfig().window_size


def test_nobody_is_told_to_delete_what_another_process_writes(run: Path, video: Path, interrupted: Path) -> None:
    journal = interrupted.with_name("out.slp.journal")
    content = journal.read_bytes()
    with JournalWriter(journal):
        for resume in (False, True):
            with pytest.raises(OutputError, match="Another process is writing"):
                write(run, video, interrupted, resume=resume)
    assert journal.read_bytes() == content


def test_no_other_process_comes_in_between_while_the_output_is_written(
    run: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest = to_file.manifest.write_manifest

    def written(path: Path, facts: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(to_file.manifest, "write_manifest", write_manifest)
            for resume in (False, True):
                with pytest.raises(OutputError, match="Another process is writing"):
                    write(run, video, tmp_path / "out.slp", resume=resume)
        write_manifest(path, facts)

    monkeypatch.setattr(to_file.manifest, "write_manifest", written)
    write(run, video, tmp_path / "out.slp")
    assert not (tmp_path / "out.slp.journal").exists()


def test_the_verbs_write_files(run: Path, video: Path, tmp_path: Path) -> None:
    options = {"model_paths": run, "device": "cpu"}
    labels = predict(video, output_path=tmp_path / "a.slp", write_interval=3, resume=True, **options)
    assert labels.video.filename == str(video)
    assert len(labels) == 23
    selection = read_source(video, [3, 5])
    predictor = Predictor.from_model_paths(run)
    summary = predict_selection(predictor, selection, Output(tmp_path / "b.slp"), Writing(2))
    assert (summary.num_frames, summary.num_requested, summary.failures) == (2, 2, ())
    with pytest.raises(ConfigError, match="give output_path too"):
        predict(video, resume=True, **options)
    with pytest.raises(ConfigError, match="write_interval is 0"):
        predict(video, output_path=tmp_path / "c.slp", write_interval=0, **options)


def test_frames_without_instances_can_be_left_out(run: Path, video: Path, tmp_path: Path) -> None:
    path = write(run, video, tmp_path / "out.slp", clean_empty_frames=True, peak_threshold=1.5)
    assert len(sio.load_slp(str(path))) == 0


@pytest.mark.usefixtures("still_clock")
def test_an_animal_that_is_followed_is_followed_after_a_break(
    run: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor.from_model_paths(run, batch_size=2, roi=RoiSettings())
    output, contents = tmp_path / "out.slp", []
    for interrupted in (False, True):
        with monkeypatch.context() as patch:
            if interrupted:
                stop_after(patch, 3, Stopped())
                with pytest.raises(Stopped):
                    predictor.predict_to_file(video, output, write_interval=4)
        predictor.predict_to_file(video, output, resume=interrupted)
        contents.append(output.read_bytes())
        output.unlink()
    assert contents[0] == contents[1]
