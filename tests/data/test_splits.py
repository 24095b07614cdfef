from collections import Counter, defaultdict
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleap_nn.config.data_config import SplitConfig
from sleap_nn.data.frame_groups import FrameRow
from sleap_nn.data.splits import (
    Division,
    SplitRule,
    closest_subset,
    divide,
    fold_numbers,
    in_hashed_order,
    make_groups,
)
from sleap_nn.errors import DataError

METHODS = ("frame", "video", "time_block", "identity")


def make_rows(*times: int, video: str = "a.mp4", labelled: bool = True) -> list[FrameRow]:
    return [FrameRow(video, time, labelled=labelled) for time in times]


def rule(method: str = "time_block", fraction: float = 0.1, seed: int = 42, **settings: int) -> SplitRule:
    return SplitRule(method, fraction, seed, **settings)


tables = st.lists(
    st.builds(
        FrameRow,
        video=st.sampled_from(["a.mp4", "b.mp4", "c.mp4"]),
        frame=st.integers(0, 400),
        identities=st.sets(st.sampled_from("uvwxyz"), max_size=2).map(frozenset),
        labelled=st.booleans(),
    ),
    min_size=1,
    max_size=80,
)
rules = st.builds(
    SplitRule,
    method=st.sampled_from(METHODS),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 5),
    block_gap=st.integers(1, 60),
    block_length=st.none() | st.integers(1, 30),
)

few = settings(max_examples=40, deadline=None)


def divided(rows: list[FrameRow], how: SplitRule) -> Division | None:
    """Divide, or return None where the table cannot be divided."""
    try:
        return divide(rows, how)
    except DataError:
        return None


def num_labelled(rows: list[FrameRow]) -> int:
    return len({row.id for row in rows if row.labelled})


@few
@given(tables, rules)
def test_every_frame_is_on_exactly_one_side_and_none_is_empty(rows: list[FrameRow], how: SplitRule) -> None:
    division = divided(rows, how)
    if division is None:
        assert num_labelled(rows) == 0 or how.method != "frame"
        return
    assert division.train | division.val == {row.id for row in rows}
    labelled = {row.id for row in rows if row.labelled}
    if len(labelled) == 1:
        assert division.train == division.val
        return
    assert not division.train & division.val
    assert division.num_labelled == (len(labelled & division.train), len(labelled & division.val))
    assert min(division.num_labelled) >= 1


@few
@given(tables, rules, st.randoms())
def test_neither_the_order_nor_repetition_of_rows_matters(rows: list[FrameRow], how: SplitRule, random) -> None:
    shuffled = rows + rows[:3]
    random.shuffle(shuffled)
    assert divided(rows, how) == divided(shuffled, how)


@few
@given(tables, rules)
def test_groups_are_never_torn(rows: list[FrameRow], how: SplitRule) -> None:
    division = divided(rows, how)
    if division is None or division.train & division.val:
        return
    sides: dict[str, set[bool]] = defaultdict(set)
    for row in rows:
        for name in {"video": {row.video}, "identity": row.identities}.get(how.method, ()):
            sides[name].add(row.id in division.val)
    assert all(len(side) == 1 for side in sides.values())


@few
@given(tables, st.floats(0.05, 0.95), st.integers(0, 3))
def test_single_frames_meet_the_fraction_exactly(rows: list[FrameRow], fraction: float, seed: int) -> None:
    total = num_labelled(rows)
    if total > 1:
        division = divide(rows, rule("frame", fraction, seed))
        assert division.num_labelled[1] == min(total - 1, max(1, round(total * fraction)))


@few
@given(st.sets(st.integers(0, 2000), min_size=12, max_size=300), st.floats(0.1, 0.5), st.integers(0, 3))
def test_time_blocks_come_close_to_the_fraction(times: set[int], fraction: float, seed: int) -> None:
    division = divide(make_rows(*times), rule("time_block", fraction, seed))
    assert abs(division.num_labelled[1] - division.num_wanted) <= max(1, 0.25 * division.num_wanted)


@few
@given(tables, st.sampled_from(["frame", "time_block"]), st.integers(2, 6), st.integers(0, 3))
def test_folds_are_disjoint_and_cover_everything(rows: list[FrameRow], method: str, num_folds: int, seed: int) -> None:
    if num_labelled(rows) < max(2, num_folds):
        return
    folds = [divide(rows, rule(method, seed=seed, num_folds=num_folds, fold=fold)) for fold in range(num_folds)]
    counted = Counter(frame for fold in folds for frame in fold.val)
    assert set(counted) == {row.id for row in rows}
    assert set(counted.values()) == {1}
    assert all(fold.train == {row.id for row in rows} - fold.val for fold in folds)
    assert all(min(fold.num_labelled) >= 1 for fold in folds)


def test_the_split_of_a_table_never_changes() -> None:
    """Whoever changes this golden split changes the validation frames of every user."""
    rows = make_rows(*range(0, 90, 3)) + make_rows(5, 900, 905, 1800, 1802, video="b.mp4")
    division = divide(rows, rule("time_block", 0.2))
    assert sorted(division.val) == [
        ("a.mp4", 72), ("a.mp4", 75), ("a.mp4", 78), ("a.mp4", 81), ("a.mp4", 84), ("a.mp4", 87), ("b.mp4", 5),
    ]  # fmt: skip
    assert sorted(divide(rows, rule("frame", 0.1)).val) == [("a.mp4", 12), ("a.mp4", 30), ("a.mp4", 39), ("b.mp4", 5)]
    by_hand = sorted(rows, key=lambda row: sha256(f"42\n{row.frame}\n{row.video}".encode()).hexdigest())
    assert divide(rows, rule("frame", 0.1)).val == {row.id for row in by_hand[:4]}
    folds = [len(divide(rows, rule("time_block", num_folds=3, fold=fold)).val) for fold in range(3)]
    assert folds == [12, 12, 11]


def test_the_seed_decides_and_no_frame_is_favoured() -> None:
    rows = make_rows(*range(0, 8000, 1000))
    assert divide(rows, rule(fraction=0.25, seed=1)) == divide(rows, rule(fraction=0.25, seed=1))
    chosen = Counter(frame for seed in range(400) for frame in divide(rows, rule(fraction=0.25, seed=seed)).val)
    assert sum(chosen.values()) == 800
    assert len(chosen) == 8
    assert min(chosen.values()) > 65


@pytest.mark.parametrize(
    ("num_frames", "fraction", "num_val"),
    [
        (2, 0.1, 1),
        (2, 0.99, 1),
        (7, 0.1, 1),
        (10, 0.2, 2),
        (33, 0.1, 3),
        (100, 0.1, 10),
        (10, 0.5, 5),
        (1500, 0.1, 150),
    ],
)
def test_one_densely_labelled_video_can_be_divided(num_frames: int, fraction: float, num_val: int) -> None:
    division = divide(make_rows(*range(num_frames)), rule(fraction=fraction))
    assert division.num_labelled == (num_frames - num_val, num_val)


def test_few_validation_frames_of_a_dense_video_touch_the_training_side() -> None:
    division = divide(make_rows(*range(1500)), rule())
    beside = [time for _, time in division.val if {("a.mp4", time - 1), ("a.mp4", time + 1)} & division.train]
    assert len(beside) <= 10


def test_frames_close_in_time_are_cut_at_the_longest_pause() -> None:
    times = [*range(37), *range(52, 85)]
    groups = make_groups(make_rows(*times), rule(block_length=20), 7)
    groups.sort(key=lambda group: group[0].frame)
    borders = [(a[-1].frame, b[0].frame) for a, b in pairwise(groups)]
    assert (36, 52) in borders
    assert max(map(len, groups)) <= 30


def test_negative_frames_follow_their_block_and_do_not_count() -> None:
    rows = make_rows(0, 1, 2, 1000, 1001, 1002) + make_rows(3, 1003, labelled=False)
    rows += make_rows(*range(5000, 5100, 40), labelled=False)
    division = divide(rows, rule(fraction=0.5, block_length=10))
    assert division.num_labelled == (3, 3)
    assert (("a.mp4", 3) in division.val) == (("a.mp4", 2) in division.val)
    assert sum(time >= 5000 for _, time in division.val) in (1, 2)


def test_known_frames_keep_their_side_and_others_of_their_group_join_them() -> None:
    rows = make_rows(0, 1, 2, 3, 500, 501, 502, 503, 900, 1500, 2000, 2500, 3000)
    known = {("a.mp4", 0): True, ("a.mp4", 500): False, ("a.mp4", 503): True}
    for seed in range(5):
        division = divide(rows, rule(fraction=0.5, seed=seed, block_length=10), known)
        assert {("a.mp4", time) for time in (0, 1, 2, 3, 502, 503)} <= division.val
        assert {("a.mp4", time) for time in (500, 501)} <= division.train
        assert division.num_kept == 8
        assert division.num_labelled[1] == division.num_wanted == 6


def test_frames_whose_sides_are_all_known_leave_nothing_to_divide() -> None:
    rows = make_rows(0, 100, 200)
    division = divide(rows, rule(), {("a.mp4", 0): True, ("a.mp4", 100): False, ("a.mp4", 200): False})
    assert division.val == {("a.mp4", 0)}
    with pytest.raises(DataError, match="already trained the weights"):
        divide(rows, rule(), {row.id: False for row in rows})
    with pytest.raises(DataError, match="already validated the weights"):
        divide(rows, rule(), {row.id: True for row in rows})
    with pytest.raises(DataError, match="already validated the weights"):
        divide(rows[:1], rule(), {("a.mp4", 0): True})
    with pytest.raises(DataError, match=r"into 2 folds.*beside those whose side is known"):
        divide(rows, rule(num_folds=2), {("a.mp4", 0): True, ("a.mp4", 100): False})


def test_identities_that_meet_in_a_frame_are_one_group() -> None:
    rows = [
        FrameRow("a.mp4", 0, frozenset("ab")),
        FrameRow("a.mp4", 500, frozenset("bc")),
        FrameRow("a.mp4", 900, frozenset("d")),
        FrameRow("b.mp4", 0, frozenset("d")),
    ]
    division = divide(rows, rule("identity", 0.5))
    assert {frozenset(division.train), frozenset(division.val)} == {
        frozenset({("a.mp4", 0), ("a.mp4", 500)}),
        frozenset({("a.mp4", 900), ("b.mp4", 0)}),
    }
    with pytest.raises(DataError, match=r"split_by=identity .*identities \(a, b, c\) leave 1 group; set .*=auto"):
        divide(rows[:2], rule("identity", 0.5))
    with pytest.raises(DataError, match="they have no tracks"):
        divide(make_rows(0, 1), rule("identity", 0.5))


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("video", {}, r"only 1 video .*; set data_config.split.split_by=auto, or set val_labels_path\.$"),
        ("time_block", {"block_length": 50}, "only 1 time block; lower block_length"),
        ("frame", {"num_folds": 9}, "into 9 folds: there are only 8 labelled frames; label more frames, lower n_folds"),
    ],
)
def test_too_few_groups_are_refused_with_what_to_do(method: str, settings: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        divide(make_rows(*range(8)), rule(method, **settings))


def test_a_table_without_labelled_frames_is_refused() -> None:
    with pytest.raises(DataError, match="no frame with a visible"):
        divide(make_rows(0, 1, labelled=False), rule())


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5])
def test_a_fraction_that_is_none_is_refused(fraction: float) -> None:
    with pytest.raises(DataError, match=f"validation_fraction is {fraction}"):
        divide(make_rows(0, 1), rule(fraction=fraction))


def test_whole_videos_can_be_far_off_the_fraction() -> None:
    rows = make_rows(*range(50)) + make_rows(*range(50), video="b.mp4")
    assert divide(rows, rule("video")).far_off
    assert not divide(rows, rule("time_block")).far_off


@few
@given(st.lists(st.integers(1, 12), min_size=1, max_size=10), st.integers(0, 60))
def test_the_subset_is_the_closest_of_all(weights: list[int], wanted: int) -> None:
    chosen = closest_subset(weights, wanted, 1, max(1, sum(weights) - 1))
    sums = {0}
    for weight in weights:
        sums |= {total + weight for total in sums}
    allowed = [total for total in sums if 1 <= total <= sum(weights) - 1]
    if not allowed:
        assert chosen == set() or sum(weights) == 1
    else:
        found = sum(weights[item] for item in chosen)
        assert abs(found - wanted) == min(abs(total - wanted) for total in allowed)


def test_early_items_are_preferred() -> None:
    assert closest_subset([1] * 6, 2, 1, 5) == {0, 1}
    assert closest_subset([5, 2, 1, 2], 4, 1, 9) == {1, 3}


def test_folds_are_balanced() -> None:
    weights = [10, 1, 1, 1, 1, 6, 5]
    folds = fold_numbers(weights, 3)
    loads = Counter()
    for fold, weight in zip(folds, weights, strict=True):
        loads[fold] += weight
    assert sorted(loads.values()) == [7, 8, 10]


def test_the_order_depends_on_seed_video_and_frame_only() -> None:
    groups = [(row,) for row in make_rows(1, 2, 3) + make_rows(1, video="b.mp4")]
    assert in_hashed_order(groups, 7) == in_hashed_order(groups[::-1], 7)
    assert len({tuple(in_hashed_order(groups, seed)) for seed in range(20)}) > 5


def test_the_rule_follows_the_configuration() -> None:
    assert SplitRule.from_config(None, 0.2, 5) == SplitRule("time_block", 0.2, 5)
    section = SplitConfig(split_by="video", n_folds=4, fold=2, seed=9, block_gap=3, block_length=8)
    assert SplitRule.from_config(section, 0.2, 5) == SplitRule("video", 0.2, 9, 4, 2, 3, 8)
