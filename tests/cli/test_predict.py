"""`sleap-nn predict` and `track` as a user calls them, with untrained models."""

import json
import shutil
from pathlib import Path

import pytest
import sleap_io as sio
from click.testing import CliRunner, Result
from factories import make_labels, make_video
from model_folders import write_model

from sleap_nn.cli import cli


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    make_labels(4, num_animals=2, path=folder / "labels.pkg.slp")
    make_video(folder / "clip.mp4", num_frames=4, num_animals=2)
    for name in ("bottomup", "centroid", "centered_instance"):
        write_model(folder / name, name, folder / "labels.pkg.slp")
    return folder


@pytest.fixture
def work(project: Path, tmp_path: Path) -> Path:
    """Return a folder of its own with the clip and the labels."""
    for name in ("clip.mp4", "labels.pkg.slp"):
        shutil.copy(project / name, tmp_path / name)
    return tmp_path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)


def common(project: Path) -> list[str | Path]:
    return ["-m", project / "bottomup", "-d", "cpu", "--precision", "32", "--peak-conf-threshold", "0.6"]


@pytest.mark.parametrize(
    ("command", "source", "options", "output"),
    [
        ("predict", "clip.mp4", [], "clip.mp4.slp"),
        ("infer", "clip.mp4", [], "clip.mp4.slp"),
        ("track", "clip.mp4", [], "clip.predictions.slp"),
        ("track", "labels.pkg.slp", [], "labels.pkg.predictions.slp"),
        ("predict", "labels.pkg.slp", ["--video_index", "0"], "labels.pkg.labels.pkg.predictions.slp"),
        ("track", "labels.pkg.slp", ["--video_index", "0"], "labels.pkg.labels.pkg.predictions.slp"),
    ],
)
def test_default_outputs(project: Path, work: Path, command: str, source: str, options: list, output: str) -> None:
    result = run(command, "-i", work / source, *common(project), *options)
    assert result.exit_code == 0, result.output
    assert f"Predictions output path: {work / output}" in result.stdout
    assert len(sio.load_slp(str(work / output), open_videos=False)) == 4


def test_infer_is_not_in_the_list_of_commands() -> None:
    listed = run("--help").stdout
    assert "track" in listed
    assert "infer" not in listed


def test_lines_for_a_gui(project: Path, work: Path) -> None:
    result = run("predict", "-i", work / "clip.mp4", *common(project), "--gui")
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in events][:1] == ["start"]
    assert (events[-1]["event"], events[-1]["outputs"]) == ("done", [(work / "clip.mp4.slp").as_posix()])
    assert {"n_processed": 4, "n_total": 4}.items() <= events[-2].items()
    assert "Predicted 4 frames" in result.stderr


@pytest.mark.parametrize("command", ["predict", "track"])
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (["-m", "nowhere"], "MissingFileError"),
        (["--frames", "9-12", "--ensure_rgb"], "ConfigError"),
        (["--only_labeled_frames", "--exclude_user_labeled"], "UsageError"),
    ],
)
def test_failures_are_told_to_a_gui(project: Path, work: Path, command: str, change: list[str], kind: str) -> None:
    result = run(command, "-i", work / "clip.mp4", *common(project), *change, "--gui")
    assert result.exit_code in (1, 2)
    last = json.loads(result.stdout.splitlines()[-1])
    assert (last["event"], last["type"]) == ("error", kind)
    assert last["message"] in result.stderr


@pytest.mark.parametrize("command", ["predict", "track"])
@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--only_labeled_frames", "--exclude_user_labeled"], "exclude each other"),
        (["--ensure_rgb", "--ensure_grayscale"], "exclude each other"),
        (["--frames", "5-1"], "runs backwards"),
        (["--frames", "1-3-7"], "cannot read"),
        (["--frames", "1,,2"], "cannot read"),
        (["--video_index", "-1"], "at least 0"),
        (["--output_format", "pdf"], "must be one of"),
        (["--embed", "maybe"], "must be one of"),
        (["--filter_min_visible_node_fraction", "2"], "at most 1"),
        (["--centroid-output", "box"], "box"),
        (["--max_instances", "0"], "at least 1"),
        (["--fg_threshold", "0.5"], "--fg_threshold"),
        (["-o", "labels.pkg.slp"], "is a file that is read"),
        (["-o", "./sub/../labels.pkg.slp"], "is a file that is read"),
        (["--video_index", "3"], "video_index is 3"),
        (["-m", "bottomup"], "give one model, or a centroid model"),
        (["--video_dataset", "box"], "HDF5"),
        (["--centroid_only"], "centroid_only needs a centroid model"),
    ],
)
def test_wrong_usage_ends_with_2_and_leaves_inputs_alone(
    project: Path, work: Path, monkeypatch: pytest.MonkeyPatch, command: str, options: list[str], word: str
) -> None:
    monkeypatch.chdir(work)
    before = (work / "labels.pkg.slp").read_bytes()
    options = [str(project / option) if option == "bottomup" else option for option in options]
    result = run(command, "-i", "labels.pkg.slp", *common(project), *options)
    assert result.exit_code == 2, result.output
    assert word in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.output
    assert (work / "labels.pkg.slp").read_bytes() == before
    assert not list(work.glob("*predictions.slp"))


def test_a_model_is_needed(work: Path) -> None:
    result = run("predict", "-i", work / "clip.mp4")
    assert result.exit_code == 2
    assert "name the folder of a trained model with -m" in result.stderr


def test_several_inputs_have_outputs_of_their_own_and_a_bad_one_stops_nobody(project: Path, work: Path) -> None:
    shutil.copy(work / "clip.mp4", work / "other.mp4")
    (work / "broken.mp4").write_bytes(b"no video")
    result = run("predict", "-i", work / "*.mp4", *common(project), "-o", work / "out", "--frames", "0-1")
    assert result.exit_code == 1, result.output
    assert sorted(path.name for path in (work / "out").glob("*.slp")) == ["clip.mp4.slp", "other.mp4.slp"]
    assert len(sio.load_slp(str(work / "out" / "other.mp4.slp"), open_videos=False)) == 2
    table = [line for line in result.stdout.splitlines() if line.startswith(("input", str(work)))]
    assert table[0].split() == ["input", "frames", "instances", "result"]
    assert "failed: " in table[1]
    assert "cannot be read as a video" in table[1]
    assert [line.split()[1] for line in table[2:]] == ["2", "2"]


def test_a_list_of_one_kind_and_models_that_cannot_be_used(project: Path, work: Path) -> None:
    (work / "list.txt").write_text("clip.mp4\nlabels.pkg.slp\n")
    result = run("track", "-i", work / "list.txt", *common(project))
    assert result.exit_code == 0, result.output
    assert (work / "clip.predictions.slp").exists()
    assert (work / "labels.pkg.predictions.slp").exists()
    result = run("predict", "-i", work / "list.txt", "-m", work / "nowhere")
    assert result.exit_code == 1
    assert "input" not in result.stdout
    assert result.stderr.count("nowhere") == 1


def test_options_reach_the_prediction(project: Path, work: Path) -> None:
    result = run(
        *("predict", "-i", work / "clip.mp4", "-m", project / "centroid", "-m", project / "centered_instance"),
        *("-d", "cpu", "--centroid_only", "--centroid-output", "both", "--anchor_part", "snout"),
        *("--centroid-peak-threshold", "0.4", "--filter_min_centroid_distance", "15", "-n", "2", "--no_empty_frames"),
        *("--format", "SLP", "--format", "CSV", "--embed", "TRUE"),
    )
    assert result.exit_code == 0, result.output
    found = sio.load_slp(str(work / "clip.mp4.slp"))
    options = found.provenance["inference_config"]
    assert options["peak_threshold"] == 0.4
    assert options["filter_min_centroid_distance"] == 15
    assert options["max_instances"] == 2
    assert found.provenance["cli_args"]["output_format"] == ["slp", "csv"]
    assert found.provenance["frame_selection"]["frames_total"] == 4
    assert all(len(frame.centroids) == len(frame.instances) for frame in found)
    assert found.video.filename == str(work / "clip.mp4.slp")
    assert (work / "clip.mp4.csv").read_text().startswith("track,frame_idx")


def test_every_output_is_streamed_and_can_be_gone_on_with(
    project: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sleap_nn.inference.journal import JournalWriter, read_contents

    original = JournalWriter.append

    def append(self: JournalWriter, *chunk: object) -> None:
        original(self, *chunk)
        raise KeyboardInterrupt

    journal = work / "sub" / "out.slp.journal"
    command = ["predict", "-i", work / "clip.mp4", *common(project), "-b", "1"]
    streamed = [*command, "--stream-to-file", work / "sub" / "out.slp", "--write-interval", "2"]
    with monkeypatch.context() as patch:
        patch.setattr(JournalWriter, "append", append)
        stopped = run(*streamed)
    assert (stopped.exit_code, "Aborted." in stopped.stderr) == (1, True)
    contents = read_contents(journal)
    assert contents is not None
    assert contents.num_frames == 2
    again = run(*streamed)
    assert again.exit_code == 1
    assert "holds 2 of 4 frames of an interrupted prediction; add --resume" in again.stderr
    other = run(*streamed, "--resume", "--filter_min_instance_score", "0.1")
    assert "filters.min_instance_score was 0.0 and is 0.1" in other.stderr
    # A file of another format comes from the same journal, and nothing is predicted twice.
    assert run(*streamed, "--resume", "--format", "slp", "--format", "csv").exit_code == 0
    assert not journal.exists()
    assert len(sio.load_slp(str(work / "sub" / "out.slp"), open_videos=False)) == 4
    assert (work / "sub" / "out.csv").exists()
    manifest = json.loads((work / "sub" / "out.slp.manifest.json").read_text())
    assert sorted(manifest["outputs"]) == ["out.csv", "out.slp"]


@pytest.mark.parametrize("options", [[], ["--tracker", "global"], ["--max_tracks", "2", "--use_flow"]])
def test_tracks_are_in_the_file(project: Path, work: Path, options: list[str]) -> None:
    result = run("predict", "-i", work / "clip.mp4", *common(project), "-t", *options)
    assert result.exit_code == 0, result.output
    found = sio.load_slp(str(work / "clip.mp4.slp"), open_videos=False)
    instances = [instance for frame in found for instance in frame.instances]
    assert instances
    assert all(instance.track is not None for instance in instances)
    assert found.provenance["tracking_config"]["tracker"] == ("global" if "global" in options else "online")


@pytest.mark.parametrize(
    ("command", "options", "output"),
    [
        ("predict", [], "found.slp.slp"),
        ("predict", ["--video_index", "0"], "found.slp.slp"),
        ("track", [], "found.predictions.slp"),
    ],
)
def test_without_a_model_instances_are_tracked(
    project: Path, work: Path, command: str, options: list[str], output: str
) -> None:
    assert run("predict", "-i", work / "clip.mp4", *common(project), "-o", work / "found.slp").exit_code == 0
    result = run(command, "-i", work / "found.slp", "-t", "--tracker", "global", *options)
    assert result.exit_code == 0, result.output
    assert f"Predictions output path: {work / output}" in result.stdout
    assert "Tracked 4 frames" in result.stdout
    tracked = sio.load_slp(str(work / output), open_videos=False)
    assert tracked.provenance["pipeline_type"] == "tracking_only"
    assert tracked.provenance["cli_args"]["tracker"] == "global"
    assert tracked.tracks


def test_tracking_options_are_checked_before_anything_is_read(work: Path) -> None:
    source = ("predict", "-i", work / "none.slp", "-t", "-m", work / "nowhere")
    assert run(*source, "--scoring_method", "iuo").exit_code == 2
    assert run(*source, "--kf_node_indices", "0,a").exit_code == 2
    assert run(*source, "--use_kalman", "--use_flow", "--max_tracks", "2").exit_code == 2
    assert run(*source, "--tracker", "global", "--use_flow").exit_code == 2
    missing = run(*source, "--post_connect_single_breaks")
    assert missing.exit_code == 1
    assert "tracking_target_instance_count" in missing.stderr
    assert run("predict", "-i", work / "clip.mp4", "-t").exit_code == 2
    assert run("predict", "-i", work / "clip.mp4").exit_code == 2


def test_tracking_options_without_tracking_are_ignored(project: Path, work: Path) -> None:
    result = run("predict", "-i", work / "clip.mp4", *common(project), "--tracking_window_size", "3")
    assert result.exit_code == 0, result.output
    found = sio.load_slp(str(work / "clip.mp4.slp"), open_videos=False)
    assert not found.tracks
    assert "window_size" not in found.provenance["cli_args"]


@pytest.fixture(scope="module")
def exported(project: Path) -> Path:
    """Return the folder of an exported model."""
    result = run("export", project / "bottomup", "-o", project / "exported")
    assert result.exit_code == 0, result.output
    return project / "exported"


def test_folder_and_video_by_their_places(exported: Path, work: Path) -> None:
    result = run("predict", exported, work / "clip.mp4", "-r", "onnx", "-b", "2", "-n", "3")
    assert result.exit_code == 0, result.output
    frames = sio.load_slp(str(work / "clip.predictions.slp"), open_videos=False)
    assert [frame.frame_idx for frame in frames] == [0, 1, 2]


@pytest.mark.parametrize("options", [["-n0"], ["--n-frames=0"], []])
def test_folder_and_video_by_their_places_with_an_output(exported: Path, work: Path, options: list[str]) -> None:
    result = run("predict", exported, work / "clip.mp4", "--output", work / "out.slp", *options)
    assert result.exit_code == 0, result.output
    assert len(sio.load_slp(str(work / "out.slp"), open_videos=False)) == 4
    assert not (work / "clip.predictions.slp").exists()


def test_the_threshold_of_an_exported_model_is_lowered_at_its_export(exported: Path, work: Path) -> None:
    result = run("predict", exported, work / "clip.mp4", "--filter_min_instance_score", "1e6")
    assert "on 4 frames; export the model with a lower --peak-threshold, or loosen the filters" in result.output


@pytest.mark.parametrize("options", [["-n", "few"], ["-n"], ["--n_frames=-1"]])
def test_a_number_of_frames_that_is_none_is_refused(exported: Path, work: Path, options: list[str]) -> None:
    result = run("predict", exported, work / "clip.mp4", *options)
    assert result.exit_code == 2
    assert "is the number of frames from the first one on, 0 for all" in result.output


def test_in_other_commands_and_behind_options_places_are_refused(exported: Path, work: Path) -> None:
    for arguments in (("track", exported, work / "clip.mp4"), ("predict", "-i", work / "clip.mp4", exported)):
        assert run(*arguments).exit_code == 2


def test_an_empty_choice_says_so_and_writes_a_file_without_frames(project: Path, work: Path) -> None:
    result = run("predict", "-i", work / "clip.mp4", *common(project), "--frames", "900", "-o", work / "out.slp")
    assert result.exit_code == 0
    assert "No frame of the input was chosen" in result.output + result.stderr
    assert "--peak_threshold" not in result.output
    assert len(sio.load_slp(str(work / "out.slp"), open_videos=False)) == 0


def test_tracking_of_nothing_does_not_speak_of_peaks(project: Path, work: Path) -> None:
    empty = work / "empty.slp"
    result = run("predict", "-i", work / "clip.mp4", *common(project), "--peak_threshold", "2", "-o", empty)
    assert "lower --peak_threshold" in result.output + result.stderr
    result = run("predict", "-i", empty, "-t", "-o", work / "tracked.slp")
    assert result.exit_code == 0, result.output
    assert "there is nothing to track" in result.output + result.stderr
    assert "--peak_threshold" not in result.output


def test_filtered_animals_are_not_blamed_on_peaks(project: Path, work: Path) -> None:
    result = run("predict", "-i", work / "clip.mp4", *common(project), "--filter_min_instance_score", "99")
    assert "loosen the filters" in result.output + result.stderr
    result = run("predict", "-i", work / "clip.mp4", *common(project), "--peak_threshold", "2", "--no_empty_frames")
    assert "Not one instance was found on 4 frames; lower --peak_threshold" in result.output + result.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--use_flow"], "Without --tracking (-t) this has no effect: use_flow."),
        (["--roi_check_interval", "7"], "Without --roi this has no effect: roi_check_interval."),
        (["--format", "csv", "--embed", "true"], "Without the format slp this has no effect: embed."),
        (
            ["--filter_overlapping_threshold", "0.5"],
            "Without --filter_overlapping this has no effect: filter_overlapping_threshold.",
        ),
        (
            ["--integral_refinement", "none", "--integral_patch_size", "7"],
            "Without --integral_refinement integral this has no effect: integral_patch_size.",
        ),
        (["--tracking_window_size", "7"], "Without --tracking (-t) this has no effect: tracking_window_size."),
        (["--class_assignment", "weighted"], "class_assignment has no effect on a bottomup model."),
        (["--centroid_peak_threshold", "0.3"], "centroid_threshold (--centroid_peak_threshold) has no effect"),
    ],
)
def test_options_that_do_nothing_are_named(project: Path, work: Path, options: list[str], words: str) -> None:
    result = run("predict", "-i", work / "clip.mp4", *common(project), *options)
    assert result.exit_code == 0, result.output
    assert words in result.output
    assert "has no effect" not in run("predict", "-i", work / "clip.mp4", *common(project)).output


def test_options_of_models_do_nothing_without_one(work: Path) -> None:
    tracked = ("predict", "-i", work / "labels.pkg.slp", "-t")
    result = run(*tracked, "--device", "cpu", "--crop_size", "50", "-o", work / "out.slp")
    assert result.exit_code == 0, result.output
    assert "Without a model (-m) this has no effect: device, crop_size." in result.output
    assert "has no effect" not in run(*tracked, "-o", work / "out.slp", "--frames", "0-9").output


@pytest.mark.parametrize(
    ("needed", "idle"),
    [
        (["--use_flow"], ["--of_window_size", "15", "--of_img_scale", "0.5", "--of_max_levels", "2"]),
        (["--use_kalman", "--max_tracks", "2"], ["--kf_init_frame_count", "3"]),
        (["--scoring_reduction", "robust_quantile"], ["--robust_best_instance", "0.5"]),
        (
            ["--tracking_pre_cull_to_target", "1", "--max_instances", "2"],
            ["--tracking_pre_cull_iou_threshold", "0.5"],
        ),
        (["--tracking_clean_instance_count", "2"], ["--tracking_clean_iou_threshold", "0.5"]),
    ],
)
def test_options_of_tracking_that_need_another_one(work: Path, needed: list[str], idle: list[str]) -> None:
    tracked = ("predict", "-i", work / "labels.pkg.slp", "-t", "-o", work / "out.slp")
    alone = run(*tracked, *idle)
    assert alone.exit_code == 0, alone.output
    names = sorted(name.removeprefix("--") for name in idle[::2])
    said = alone.output.partition(f"Without {needed[0]}")[2].partition("this has no effect: ")[2].partition(".\n")[0]
    assert sorted(said.split(", ")) == names
    assert "has no effect" not in run(*tracked, *needed, *idle).output


def test_label_filters_hold_for_tracking_alone(work: Path) -> None:
    labels = sio.load_slp(str(work / "labels.pkg.slp"))
    first, last = labels[0], labels[len(labels) - 1]
    for instance in list(first.instances):
        first.instances.append(sio.PredictedInstance.from_numpy(instance.numpy(), labels.skeleton))
        first.instances.remove(instance)
    labels.save(str(work / "mixed.slp"), embed=False, verbose=False)
    for option, expected in (
        ("--only_predicted_frames", 1),
        ("--exclude_user_labeled", 1),
        ("--only_labeled_frames", 3),
    ):
        result = run("predict", "-i", work / "mixed.slp", "-t", option, "-o", work / "out.slp")
        assert result.exit_code == 0, result.output
        found = [frame.frame_idx for frame in sio.load_slp(str(work / "out.slp"), open_videos=False)]
        assert len(found) == expected
        assert (last.frame_idx in found) == (option == "--only_labeled_frames")


def test_a_name_that_is_no_labels_file_is_refused_before_anything_is_predicted(project: Path, work: Path) -> None:
    for name in ("preds", "preds.h5"):
        result = run("predict", "-i", work / "clip.mp4", *common(project), "-o", work / name)
        assert result.exit_code == 2
        assert "name it preds.slp" in result.stderr
    assert not list(work.glob("*.journal"))


def test_inputs_of_a_run_are_never_outputs(project: Path, work: Path) -> None:
    shutil.copy(work / "labels.pkg.slp", work / "labels.pkg.predictions.slp")
    before = (work / "labels.pkg.predictions.slp").read_bytes()
    result = run("track", "-i", work / "*.slp", *common(project))
    assert result.exit_code == 2
    assert "would be the input" in result.stderr
    assert (work / "labels.pkg.predictions.slp").read_bytes() == before


def test_one_video_of_several_inputs_names_the_outputs(project: Path, work: Path) -> None:
    shutil.copy(work / "labels.pkg.slp", work / "more.pkg.slp")
    result = run("predict", "-i", work / "*.pkg.slp", *common(project), "--video_index", "0")
    assert result.exit_code == 0, result.output
    assert {path.name for path in work.glob("*.predictions.slp")} == {
        "labels.pkg.labels.pkg.predictions.slp",
        "more.pkg.more.pkg.predictions.slp",
    }


def test_only_labels_files_hold_centroids(project: Path, work: Path) -> None:
    command = ("predict", "-i", work / "clip.mp4", "-m", project / "centroid", "--centroid-output", "centroid")
    result = run(*command, "--format", "csv")
    assert result.exit_code == 2
    assert "Only .slp files hold centroids, csv does not" in result.stderr
    assert run(*command).exit_code == 0


def test_a_model_of_crops_alone_reads_frames_with_labelled_animals(project: Path, work: Path) -> None:
    labels = sio.load_slp(str(work / "labels.pkg.slp"))
    for instance in list(labels[0].instances):
        labels[0].instances.append(sio.PredictedInstance.from_numpy(instance.numpy(), labels.skeleton))
        labels[0].instances.remove(instance)
    labels.save(str(work / "mixed.slp"), embed=False, verbose=False)
    command = ("predict", "-m", project / "centered_instance", "-d", "cpu", "-o", work / "out.slp", "-i")
    result = run(*command, work / "mixed.slp")
    assert result.exit_code == 0, result.output
    assert "1 frame(s) without an animal labelled by a user are left out" in result.output
    assert len(sio.load_slp(str(work / "out.slp"), open_videos=False)) == 3
    result = run(*command, work / "clip.mp4")
    assert result.exit_code == 1
    assert "the input has no labels" in result.stderr
    assert not (work / "out.slp.journal").exists()


def test_what_tracking_compared_is_in_the_provenance(project: Path, work: Path) -> None:
    command = (
        "predict",
        "-i",
        work / "clip.mp4",
        "-m",
        project / "centroid",
        "-d",
        "cpu",
        "-t",
        "-o",
        work / "out.slp",
    )
    assert run(*command).exit_code == 0
    used = sio.load_slp(str(work / "out.slp"), open_videos=False).provenance["tracking_config"]
    assert (used["features"], used["scoring_method"]) == ("centroids", "euclidean_dist")
    assert run(*command, "--max_tracks", "2").exit_code == 0
    used = sio.load_slp(str(work / "out.slp"), open_videos=False).provenance["tracking_config"]
    assert used["candidates_method"] == "local_queues"
