from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from run_folders import config_of

from sleap_nn.data.findings import Finding as LabelFinding
from sleap_nn.data.findings import LabelReport, Place
from sleap_nn.evaluation.bootstrap import Estimate
from sleap_nn.run_report.facts import LabelsFacts
from sleap_nn.run_report.findings import Evidence, Finding, find
from sleap_nn.run_report.history import History
from sleap_nn.run_report.scores import SplitScores
from sleap_nn.run_report.tables import MetricColumn
from sleap_nn.training.split_record import FileSplit, SplitRecord

NOTHING = Evidence(config=None, history=None, split=None, label_check=None, labels=(), columns={}, scores={})
POSE = np.array([[0.0, 0], [100, 0], [0, 100], [100, 100]])
GONE = np.full_like(POSE, np.nan)


def titles(evidence: Evidence) -> list[str]:
    return [finding.title for finding in find(evidence)]


def only(evidence: Evidence) -> Finding:
    (finding,) = find(evidence)
    return finding


def frames(*poses: np.ndarray) -> np.ndarray:
    """Return one animal a frame, (frames, 1, nodes, 2)."""
    return np.stack(poses)[:, None]


@pytest.fixture(name="scores")
def scores_fixture(make_scores):
    def make(truth: np.ndarray, predicted: np.ndarray, split: str = "val") -> dict[str, SplitScores]:
        return {split: make_scores(truth, predicted, name=split)}

    return make


def column(split: str, **estimates: Estimate) -> dict[str, MetricColumn]:
    return {split: MetricColumn(split, split, {}, estimates)}


def history(*losses: float) -> History:
    values = np.array(losses)
    return History(np.arange(len(values)), {"val/loss": values})


def test_without_evidence_there_is_nothing_to_say():
    assert find(NOTHING) == []


def test_a_good_model_is_left_alone(scores):
    good = frames(*[POSE] * 25)
    labels = [LabelsFacts("val", "", 1, 25, 25, 100, ())]
    evidence = Evidence(
        None, history(1, 0.5, 0.3, 0.301, 0.302, 0.3, 0.3), None, None, labels, {}, scores(good, good + 1)
    )
    assert find(evidence) == []


def test_a_network_that_finds_nothing_is_of_no_use(scores):
    truth, nothing = frames(*[POSE] * 12), frames(*[GONE] * 12)
    finding = only(replace(NOTHING, scores=scores(truth, nothing, "train")))
    assert (finding.level, finding.title) == ("serious", "The network finds nothing")


@pytest.mark.parametrize(("num_found", "level"), [(10, None), (8, None), (7, "note"), (3, "serious"), (0, "serious")])
def test_missed_animals(scores, num_found: int, level: str | None):
    truth, found = frames(*[POSE] * 10), frames(*[POSE] * num_found, *[GONE] * (10 - num_found))
    findings = find(replace(NOTHING, scores=scores(truth, found)))
    assert [finding.level for finding in findings] == ([] if level is None else [level])
    if level is not None:
        assert f"{num_found} of 10 labelled animals of val" in findings[0].text


def test_predictions_without_an_animal(scores):
    evidence = replace(NOTHING, scores=scores(frames(POSE, GONE, GONE), frames(POSE, POSE, POSE), "test"))
    assert titles(evidence) == ["Many predictions on test are no animal"]
    assert "2 of 3 predictions on test" in only(evidence).text


@pytest.mark.parametrize(("shift", "level"), [(4.0, None), (7.0, "note"), (12.0, "serious")])
def test_errors_are_judged_against_the_size_of_the_animals(scores, shift: float, level: str | None):
    good = frames(*[POSE] * 3)
    findings = find(replace(NOTHING, scores=scores(good, good + np.array([shift, 0]))))
    assert [finding.level for finding in findings] == ([] if level is None else [level])
    if level is not None:
        assert f"{shift:.1f} px, {shift:.0f} % of the size of an animal (100 px" in findings[0].text


def test_wrong_identities():
    columns = column("val", identity=Estimate(0.6, 0.5, 0.7)) | column("test", identity=Estimate(0.95, 0.9, 1))
    assert titles(replace(NOTHING, columns=columns)) == ["Identities of val are often wrong"]


@pytest.mark.parametrize(
    ("val", "is_gap"),
    [
        (Estimate(4, 3, 5), True),
        (Estimate(4, 1, 9), False),
        (Estimate(2.5, 2.4, 2.6), False),
        (Estimate(4, np.nan, np.nan), False),
    ],
)
def test_a_gap_between_training_and_validation(val: Estimate, is_gap: bool):
    columns = column("train", p50=Estimate(2, 1.9, 2.1)) | column("val", p50=val)
    assert bool(find(replace(NOTHING, columns=columns))) == is_gap


def test_losses_that_rise_or_are_lost():
    rising = history(*np.linspace(1, 0.5, 6), *np.linspace(0.5, 0.9, 10))
    assert titles(replace(NOTHING, history=rising)) == [], "without the training loss it cannot be told"
    rising.columns["train/loss"] = np.linspace(1, 0.1, 16)
    assert titles(replace(NOTHING, history=rising)) == ["The validation loss rose again"]
    assert "From epoch 5 on it rose from 0.5" in only(replace(NOTHING, history=rising)).text
    lost = only(replace(NOTHING, history=history(1, 0.5, np.nan)))
    assert (lost.level, lost.title) == ("serious", "The loss became no number")


@pytest.mark.parametrize(
    ("losses", "is_unfinished"),
    [
        (np.linspace(1, 0.1, 20), True),
        (np.append(np.linspace(1, 0.1, 15), np.full(5, 0.1)), False),
        (np.append(np.linspace(1, 0.1, 15), np.linspace(0.1, 0.099, 5)), False),
        (np.linspace(1, 0.1, 4), False),
    ],
)
def test_a_training_that_ended_too_early(losses: np.ndarray, is_unfinished: bool):
    evidence = replace(NOTHING, config=config_of("bottomup", Path("a.slp")), history=history(*losses))
    expected = ["Training ended while it was still getting better"] if is_unfinished else []
    assert titles(evidence) == expected


def test_few_frames_and_frames_seen_before():
    config = config_of("bottomup", Path("a.slp"))
    config.data_config.use_same_data_for_val = True
    labels = [LabelsFacts("train", "", 1, 5, 5, 5, ()), LabelsFacts("val", "", 1, 1, 5, 5, ())]
    found = find(replace(NOTHING, config=config, labels=labels))
    assert [finding.title for finding in found] == ["Few frames in val", "Validation frames are the training frames"]
    assert "from 1 frame depend" in found[0].text


@pytest.mark.parametrize(("frames", "words"), [(4, "so few have no interval"), (5, "read the intervals")])
def test_intervals_are_only_named_where_there_are_any(frames: int, words: str):
    (found,) = find(replace(NOTHING, labels=[LabelsFacts("test", "", 1, frames, 5, 5, ())]))
    assert words in found.text


@pytest.mark.parametrize(
    ("val", "method", "is_close"),
    [
        (range(5, 95, 10), "frame", True),
        (range(500, 600, 10), "time_block", False),
        (range(0, 90, 10), "use_same_data_for_val", False),
    ],
)
def test_validation_frames_beside_training_frames(val: range, method: str, is_close: bool):
    train = tuple(("clip", frame) for frame in range(0, 100, 10))
    record = SplitRecord(method, 1, (FileSplit("a.slp", train, tuple(("clip", frame) for frame in val)),))
    found = titles(replace(NOTHING, split=record))
    assert found == (["Validation frames are neighbours of training frames"] if is_close else [])


def test_labels_that_looked_wrong_before_training():
    places = (Place("a.mp4", 3, "here"), Place("a.mp4", 5, "here"))
    check = LabelReport(9, 9, (LabelFinding("kind", "2 things", "repair them", places),))
    finding = only(replace(NOTHING, label_check=check))
    assert (finding.title, finding.text) == ("Labels that look wrong", "2 things (a.mp4 frame 3, 5): repair them.")
    assert find(replace(NOTHING, label_check=LabelReport(9, 9, ()))) == []


def test_nodes_that_stand_out(scores):
    truth, predicted = frames(*[POSE] * 6), frames(*[POSE + 1] * 6)
    predicted[:, :, 0] += 20
    predicted[:4, :, 3] = np.nan
    found = {finding.title: finding.text for finding in find(replace(NOTHING, scores=scores(truth, predicted)))}
    assert list(found) == ["Nodes that are mostly missed", "Nodes that are hard to find"]
    assert "node 3 (67 %)" in found["Nodes that are mostly missed"]
    assert "node 0 (29.7 px)" in found["Nodes that are hard to find"]


def test_nodes_with_few_labels_are_those_of_training(scores):
    truth = frames(*[POSE] * 12)
    truth[3:, :, 2] = np.nan
    evidence = replace(NOTHING, scores=scores(truth, truth, "train"))
    assert titles(evidence) == ["Nodes with few labels"]
    assert "node 2 (3)" in only(evidence).text
    assert find(replace(NOTHING, scores=scores(truth, truth, "val"))) == []


@pytest.mark.parametrize(("model_type", "is_crop"), [("centered_instance", True), ("centroid", False)])
def test_models_of_crops_are_measured_around_labels(model_type: str, is_crop: bool):
    found = titles(replace(NOTHING, config=config_of(model_type, Path("a.slp"))))
    assert found == (["Crops were taken around the labels"] if is_crop else [])


def test_serious_things_come_first(scores):
    truth, nothing = frames(POSE, POSE), frames(GONE, GONE)
    labels = [LabelsFacts("val", "", 1, 2, 2, 8, ())]
    found = find(replace(NOTHING, labels=labels, scores=scores(truth, nothing, "val")))
    assert [finding.level for finding in found] == ["serious", "note"]
