import json
from typing import Any

import numpy as np
import pytest

from sleap_nn.evaluation.identity import FrameIdentities, clear_mot, higher_order, identity_f1


def frame(truth: list[int], predicted: list[int], similarity: Any = None) -> FrameIdentities:
    """A frame whose animals and tracks meet in their order, unless similarities say otherwise."""
    table = np.eye(len(truth), len(predicted)) if similarity is None else np.asarray(similarity, np.float64)
    return FrameIdentities(
        np.array(truth, np.int64), np.array(predicted, np.int64), table.reshape(len(truth), len(predicted))
    )


PERFECT = [frame([0, 1], [0, 1])] * 10
SWAPPED = [frame([0, 1], [0, 1])] * 6 + [frame([0, 1], [1, 0])] * 4


def test_perfect_tracks_have_full_marks() -> None:
    clear = clear_mot(PERFECT, 0.5)
    assert (clear["MOTA"], clear["MOTP"], clear["switches"], clear["fragments"]) == (1, 1, 0, 0)
    assert (clear["mostly_tracked"], clear["mostly_lost"], clear["purity"]) == (2, 0, 1)
    assert identity_f1(PERFECT, 0.5) == {"IDF1": 1, "IDP": 1, "IDR": 1}
    assert higher_order(PERFECT) == {"HOTA": 1, "DetA": 1, "AssA": 1}


def test_an_exchange_is_two_switches_and_costs_the_shorter_part() -> None:
    clear = clear_mot(SWAPPED, 0.5)
    assert (clear["switches"], clear["switches_per_1000_frames"]) == (2, 200)
    assert clear["MOTA"] == pytest.approx(1 - 2 / 20)
    assert clear["purity"] == pytest.approx(0.6)
    assert identity_f1(SWAPPED, 0.5)["IDF1"] == pytest.approx(0.6)
    assert higher_order(SWAPPED)["AssA"] == pytest.approx(0.6 * 6 / 14 + 0.4 * 4 / 16)


def test_a_pair_is_kept_while_it_fits() -> None:
    """The second prediction is nearer, but the first still fits."""
    frames = [frame([0], [0]), frame([0], [0, 1], [[0.6, 0.9]]), frame([0], [0, 1], [[0.4, 0.9]])]
    clear = clear_mot(frames, 0.5)
    assert (clear["switches"], clear["false_positives"]) == (1, 2)


@pytest.mark.parametrize("elsewhere", [[], [2]], ids=["nothing predicted", "elsewhere"])
def test_a_track_that_breaks_off_and_returns_under_another_name_is_a_switch(elsewhere: list[int]) -> None:
    """It is also a fragment, unless nothing at all was predicted: TrackEval does not look at such frames."""
    frames = [frame([0], [0]), frame([0], elsewhere, np.zeros((1, len(elsewhere)))), *[frame([0], [1])] * 2]
    clear = clear_mot(frames, 0.5)
    assert (clear["switches"], clear["fragments"], clear["false_negatives"]) == (1, len(elsewhere), 1)
    assert (clear["mostly_tracked"], clear["partly_tracked"]) == (0, 1)


@pytest.mark.parametrize("gap", [frame([0], []), frame([], [0])], ids=["nothing predicted", "nothing there"])
def test_a_pair_is_kept_over_frames_with_one_side(gap: FrameIdentities) -> None:
    """A nearer prediction appears after the gap: 1 error in the gap, 1 prediction too many, of 2 or 3 animals."""
    clear = clear_mot([frame([0], [0]), gap, frame([0], [0, 1], [[0.6, 0.9]])], 0.5)
    assert (clear["switches"], clear["fragments"], clear["MOTP"]) == (0, 0, pytest.approx(0.8))
    assert clear["MOTA"] == pytest.approx(1 - 2 / (2 + len(gap.truth)))


def test_nothing_predicted_is_no_error() -> None:
    frames = [frame([0], [])] * 3
    assert clear_mot(frames, 0.5)["MOTA"] == 0
    assert clear_mot(frames, 0.5)["mostly_lost"] == 1
    assert identity_f1(frames, 0.5)["IDF1"] == 0
    assert higher_order(frames)["HOTA"] == 0


def noisy(seed: int) -> list[FrameIdentities]:
    """Animals that are missed, found twice and exchanged, with similarities on both sides of the threshold."""
    rng = np.random.default_rng(seed)
    names, frames = np.arange(5), []
    for _ in range(60):
        if rng.random() < 0.15:
            a, b = rng.choice(5, 2, replace=False)
            names[[a, b]] = names[[b, a]]
        present = np.flatnonzero(rng.random(5) < 0.8)
        found = present[rng.random(len(present)) < 0.85]
        table = rng.uniform(0, 0.3, (len(present), len(found) + 1))
        for column, animal in enumerate(found):
            table[np.flatnonzero(present == animal)[0], column] = rng.uniform(0.35, 1)
        frames.append(FrameIdentities(present, np.append(names[found], 5 + rng.integers(3)), table))
    return frames


@pytest.mark.parametrize("seed", range(4))
def test_numbers_are_those_of_py_motmetrics(seed: int) -> None:
    motmetrics = pytest.importorskip("motmetrics")
    frames = noisy(seed)
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for entry in frames:
        distances = np.where(entry.similarity >= 0.5, 1 - entry.similarity, np.nan)
        accumulator.update(entry.truth.tolist(), entry.predicted.tolist(), distances)
    names = ["mota", "idf1", "idp", "idr", "num_switches", "num_false_positives", "num_misses"]
    table = motmetrics.metrics.create().compute(accumulator, metrics=names)
    expected = json.loads(table.iloc[0].to_json())
    clear, ids = clear_mot(frames, 0.5), identity_f1(frames, 0.5)
    assert ids == pytest.approx({"IDF1": expected["idf1"], "IDP": expected["idp"], "IDR": expected["idr"]})
    assert clear["false_negatives"] == expected["num_misses"]
    assert clear["false_positives"] == expected["num_false_positives"]
    assert clear["switches"] == expected["num_switches"]
    assert clear["MOTA"] == pytest.approx(expected["mota"])


TRACKEVAL = {0: (0.271877, 0.437735, 0.170604), 3: (0.278933, 0.446156, 0.175986)}
"""HOTA, DetA and AssA of `noisy`, computed once with TrackEval 1.3.0."""


@pytest.mark.parametrize("seed", list(TRACKEVAL))
def test_higher_order_numbers_are_those_of_trackeval(seed: int) -> None:
    found = higher_order(noisy(seed))
    assert [found["HOTA"], found["DetA"], found["AssA"]] == pytest.approx(TRACKEVAL[seed], abs=1e-6)


def patchy(seed: int) -> list[FrameIdentities]:
    """As `noisy`, with every fourth frame without truth or without predictions."""
    frames = noisy(seed)
    for index in range(3, len(frames), 4):
        kept = (0, None) if index % 8 == 3 else (None, 0)
        truth, predicted = frames[index].truth[: kept[0]], frames[index].predicted[: kept[1]]
        frames[index] = FrameIdentities(truth, predicted, np.zeros((len(truth), len(predicted))))
    return frames


CLEAR_NAMES = ("MOTA", "MOTP", "switches", "fragments", "false_positives", "false_negatives", "mostly_tracked")
TRACKEVAL_CLEAR = {
    0: (-0.135922, 0.73972, 13, 48, 122, 99, 0),
    3: (-0.105, 0.743277, 26, 50, 113, 82, 0),
}
"""`CLEAR_NAMES` of `patchy`, computed once with TrackEval 1.3.0."""


@pytest.mark.parametrize("seed", list(TRACKEVAL_CLEAR))
def test_numbers_around_frames_with_one_side_are_those_of_trackeval(seed: int) -> None:
    found = clear_mot(patchy(seed), 0.5)
    assert [found[name] for name in CLEAR_NAMES] == pytest.approx(TRACKEVAL_CLEAR[seed], abs=1e-6)
