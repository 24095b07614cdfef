"""What can go wrong while predicting: nothing that was written is lost, and requested = predicted + listed failures."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import sleap_io as sio
from constant_model import write_constant_model
from factories import make_labels, make_video
from media_files import FASTSTART, damage, truncate, write_media
from predicting import command_with_small_files, into_file, predict, slow_command, start

from sleap_nn.inference.journal import read_contents

NUM_KILLS = int(os.environ.get("SLEAP_NN_TEST_KILLS", "4"))
TIMES = ("inference_start_timestamp", "inference_end_timestamp", "inference_runtime_seconds")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("constant")
    make_labels(4, path=folder / "labels.pkg.slp")
    write_constant_model(folder / "models" / "run", folder / "labels.pkg.slp")
    return folder / "models" / "run"


def manifest_of(output: Path) -> dict[str, Any]:
    return json.loads(output.with_name(output.name + ".manifest.json").read_text())


def frames_of(output: Path) -> list[int]:
    return [frame.frame_idx for frame in sio.load_slp(str(output))]


def test_a_damaged_frame_costs_that_frame(model: Path, tmp_path: Path) -> None:
    video = write_media(tmp_path / "clip.mp4")
    (lost,) = damage(video, [20])
    result = predict(model, video)
    assert result.exit_code == 1
    assert f"1 of 40 requested frames could not be read and are not in the output: Frame {lost} of" in result.stderr
    assert frames_of(tmp_path / "out.slp") == [frame for frame in range(40) if frame != lost]
    manifest = manifest_of(tmp_path / "out.slp")
    assert manifest["frames"] == {"requested": 40, "predicted": 39, "failed": 1}
    assert [(entry["video"], entry["frame"]) for entry in manifest["failures"]] == [(0, lost)]
    assert "Invalid data" in manifest["failures"][0]["reason"]


def test_a_truncated_video_gives_what_it_has_and_lists_the_rest(model: Path, tmp_path: Path) -> None:
    video = write_media(tmp_path / "clip.mp4", mux=FASTSTART)
    truncate(video, 0.75)
    result = predict(model, video, "--write-interval", "4")
    assert result.exit_code == 1
    assert "out.slp.manifest.json" in result.stderr
    manifest = manifest_of(tmp_path / "out.slp")
    counts = manifest["frames"]
    assert counts["requested"] == 40 == counts["predicted"] + counts["failed"]
    assert counts["failed"] > 5
    assert frames_of(tmp_path / "out.slp") == list(range(counts["predicted"]))
    assert [entry["frame"] for entry in manifest["failures"]] == list(range(counts["predicted"], 40))


def test_a_bad_checkpoint_leaves_a_finished_output_alone(model: Path, tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4")
    assert predict(model, video).exit_code == 0
    before = (tmp_path / "out.slp").read_bytes()
    broken = shutil.copytree(model, tmp_path / "broken")
    (broken / "best.ckpt").write_bytes(b"no checkpoint")
    result = predict(broken, video)
    assert result.exit_code == 1
    assert result.stderr.strip().count("\n") == 0
    assert "best.ckpt cannot be read" in result.stderr
    assert (tmp_path / "out.slp").read_bytes() == before
    assert not (tmp_path / "out.slp.journal").exists()


def test_a_full_disk_ends_with_a_sentence_and_can_be_gone_on_from(model: Path, tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", num_frames=300)
    limit = 20_000
    process = start(command_with_small_files, limit, model, video)
    process.join(120)
    assert process.exitcode == 1
    said = (tmp_path / "said.txt").read_text()
    assert "File too large" in said
    assert "--resume" in said
    assert "Traceback" not in said
    contents = read_contents(tmp_path / "out.slp.journal")
    assert contents is not None
    assert 0 < contents.num_frames < 300
    assert not (tmp_path / "out.slp").exists()
    assert predict(model, video, "--resume").exit_code == 0
    assert frames_of(tmp_path / "out.slp") == list(range(300))


def test_a_full_disk_while_the_output_is_written(model: Path, tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", num_frames=300)
    size = 300 * 9 * 12 + 60_000  # the journal fits, the tables do not
    process = start(command_with_small_files, size, model, video)
    process.join(120)
    assert process.exitcode == 1
    said = (tmp_path / "said.txt").read_text()
    assert "All frames are safe in" in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "out.slp.journal", "said.txt"]
    assert predict(model, video, "--resume").exit_code == 0
    assert frames_of(tmp_path / "out.slp") == list(range(300))


def wait_for_frames(journal: Path, least: int) -> None:
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        contents = read_contents(journal)
        if contents is not None and contents.num_frames >= least:
            return
        time.sleep(0.01)
    pytest.fail("the journal does not grow")


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_result(model: Path, tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", num_frames=150 * (NUM_KILLS + 1))
    (tmp_path / "whole").mkdir()
    start(into_file, model, video, tmp_path / "whole" / "out.slp").join(200)
    output = tmp_path / "out.slp"
    journal = output.with_name("out.slp.journal")
    moments = random.Random(7)
    kills, held = 0, 0
    while kills < NUM_KILLS:
        process = start(into_file, model, video, output)
        if kills % 2 == 0:  # odd ones are killed wherever they are, before the first frame included
            wait_for_frames(journal, held + 1)
        process.join(moments.uniform(0.0, 0.3))
        if process.exitcode is not None:
            break
        process.kill()
        process.join()
        kills += 1
        contents = read_contents(journal)
        assert contents is None or contents.num_frames >= held
        held = 0 if contents is None else contents.num_frames
        assert not output.exists()
    assert kills >= 3
    process = start(into_file, model, video, output)
    process.join(200)
    assert process.exitcode == 0
    assert_same_files(tmp_path / "whole" / "out.slp", output)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "out.slp", "out.slp.manifest.json", "whole"]


def assert_same_files(one: Path, other: Path) -> None:
    with h5py.File(one) as a, h5py.File(other) as b:
        assert set(a) == set(b)
        for name in ("frames", "instances", "pred_points", "points", "tracks_json", "videos_json"):
            assert np.asarray(a[name]).tobytes() == np.asarray(b[name]).tobytes() or name.endswith("json")
            if name.endswith("json"):
                assert list(a[name]) == list(b[name])
        records = [json.loads(bytes(file["provenance_json"][()])) for file in (a, b)]
    for record in records:
        for name in (*TIMES, "filename"):
            del record[name]
    assert records[0] == records[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 1, "Aborted."), (signal.SIGTERM, 75, "Stopped by SIGTERM.")]
)
def test_ctrl_c_and_sigterm_end_with_a_message_and_without_an_output(
    model: Path, tmp_path: Path, number: signal.Signals, code: int, word: str
) -> None:
    video = make_video(tmp_path / "clip.mp4", num_frames=1000)
    process = start(slow_command, 0.05, model, video)
    wait_for_frames(tmp_path / "out.slp.journal", 16)
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == code
    said = (tmp_path / "said.txt").read_text()
    assert "frames, which are safe; give the same command with --resume to go on." in said
    assert word in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "out.slp.journal", "said.txt"]
    assert predict(model, video, "--resume").exit_code == 0
    assert frames_of(tmp_path / "out.slp") == list(range(1000))
