from sleap_nn.data.frame_groups import FrameRow, by_identity, by_video, time_blocks, weight


def make_rows(*times: int, video: str = "a.mp4") -> list[FrameRow]:
    return [FrameRow(video, time) for time in times]


def spans(blocks: list[tuple[FrameRow, ...]]) -> list[tuple[int, int]]:
    return [(block[0].frame, block[-1].frame) for block in blocks]


def test_a_block_ends_where_labels_pause() -> None:
    assert spans(time_blocks(make_rows(30, 0, 10, 31, 62), 30, 100)) == [(0, 31), (62, 62)]
    assert spans(time_blocks(make_rows(0, 10, 31), 9, 100)) == [(0, 0), (10, 10), (31, 31)]


def test_a_long_block_is_cut_into_equal_parts() -> None:
    assert spans(time_blocks(make_rows(*range(30)), 5, 10)) == [(0, 9), (10, 19), (20, 29)]
    assert spans(time_blocks(make_rows(*range(5)), 5, 1)) == [(time, time) for time in range(5)]
    assert spans(time_blocks(make_rows(*range(11)), 5, 10)) in ([(0, 4), (5, 10)], [(0, 5), (6, 10)])


def test_cuts_move_to_pauses_nearby() -> None:
    times = [*range(12), *range(15, 33)]
    assert spans(time_blocks(make_rows(*times), 5, 15)) == [(0, 11), (15, 32)]


def test_videos_are_never_in_one_block() -> None:
    blocks = time_blocks(make_rows(0, 1) + make_rows(0, 1, video="b.mp4"), 5, 100)
    assert [{row.video for row in block} for block in blocks] == [{"a.mp4"}, {"b.mp4"}]
    assert list(by_video(make_rows(3, 1) + make_rows(2, video="b.mp4"))) == ["a.mp4", "b.mp4"]


def test_identities_are_joined_through_frames_that_show_both() -> None:
    rows = [FrameRow("a.mp4", i, frozenset(names)) for i, names in enumerate(["ab", "cd", "bc", "e", "", "e"])]
    groups = sorted(spans(by_identity(rows)))
    assert groups == [(0, 2), (3, 5)]
    assert sum(map(len, by_identity(rows))) == 5


def test_negative_frames_weigh_nothing() -> None:
    assert weight([FrameRow("a.mp4", 0), FrameRow("a.mp4", 1, labelled=False)]) == 1
