import logging

import pytest

from sleap_nn.data.frame_groups import FrameRow
from sleap_nn.data.splits import SplitRule, divide
from sleap_nn.training.split_report import far_off_text, leakage_text, report_split, sizes_text


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    caplog.set_level(logging.INFO, logger="sleap_nn")
    return caplog


def make_rows(*times: int, video: str = "a.mp4") -> list[FrameRow]:
    return [FrameRow(video, time) for time in times]


def test_sizes_say_what_was_asked_and_what_came_out() -> None:
    rows = [*make_rows(*range(20)), FrameRow("a.mp4", 900, labelled=False)]
    rule = SplitRule("time_block", 0.25, 7)
    assert sizes_text(rule, divide(rows, rule)) == (
        "Split by time block with seed 7: 15 frames in 4 groups train, 5 frames in 1 group validate (25.0 %; asked: "
        "25 %), 1 negative frame beside."
    )
    folds = SplitRule("frame", 0.1, 7, num_folds=4, fold=2)
    assert "(25.0 %; asked: fold 2 of 4), 1" in sizes_text(folds, divide(rows, folds))


def test_leakage_is_compared_with_single_frames() -> None:
    rows = make_rows(*range(100))
    blocks, single = (divide(rows, SplitRule(method, 0.1, 42)) for method in ("time_block", "frame"))
    assert leakage_text(blocks, single, 1) == (
        "Leakage: 2 of 10 validation frames have a training frame within 1 frame in the same video; closest 1, median "
        "3 (single frames at random: 10 of 10; closest 1, median 1)."
    )
    rows += make_rows(*range(100), video="b.mp4")
    videos = divide(rows, SplitRule("video", 0.5, 42))
    assert "Leakage: 0 of 100 validation frames" in leakage_text(videos, single, 1)
    assert "; no video on both sides (single" in leakage_text(videos, single, 1)


def test_a_fraction_that_is_far_off_is_explained(logged: pytest.LogCaptureFixture) -> None:
    rows = make_rows(*range(50)) + make_rows(*range(50), video="b.mp4")
    report_split(rows, SplitRule("video", 0.1, 42), divide(rows, SplitRule("video", 0.1, 42)))
    (warning,) = [record.getMessage() for record in logged.records if record.levelno == logging.WARNING]
    assert warning == (
        "50 of 100 labelled frames validate where 10 were asked for, because frames of one video stay together; set "
        "data_config.split.split_by=auto, or set val_labels_path."
    )
    rule = SplitRule("time_block", 0.1, 42, block_length=50)
    assert "lower data_config.split.block_length" in far_off_text(rule, divide(rows, rule))
    known = {row.id: row.video == "a.mp4" for row in rows}
    kept = divide(rows, SplitRule("time_block", 0.1, 42), known)
    assert "because 100 frames stay on the side of an earlier split" in far_off_text(rule, kept)


def test_an_ordinary_split_is_two_lines(logged: pytest.LogCaptureFixture) -> None:
    rows = make_rows(*range(0, 1000, 10))
    report_split(rows, SplitRule("time_block", 0.1, 42), divide(rows, SplitRule("time_block", 0.1, 42)))
    assert [record.levelno for record in logged.records] == [logging.INFO] * 2
    assert "within 10 frames" in logged.records[1].getMessage()


def test_a_single_frame_is_said_to_be_on_both_sides(logged: pytest.LogCaptureFixture) -> None:
    rows = make_rows(3)
    report_split(rows, SplitRule("time_block", 0.1, 42), divide(rows, SplitRule("time_block", 0.1, 42)))
    assert "one labelled frame, so it trains and validates" in logged.records[-1].getMessage()
