import numpy as np
import pytest
import torch

from sleap_nn.config.frames import MAX_FRAMES, chosen_frames, frame_numbers, parse_frames
from sleap_nn.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("", None),
        ("  ", None),
        ("3", [3]),
        ("0", [0]),
        ("1,2,3", [1, 2, 3]),
        (" 1 , 2 ", [1, 2]),
        ("3,1,2,1", [1, 2, 3]),
        ("1-3", [1, 2, 3]),
        ("1 - 3", [1, 2, 3]),
        ("1,-3", [1, 2, 3]),
        (" 1 , - 3 ", [1, 2, 3]),
        ("4-4", [4]),
        ("0-2,20-22", [0, 1, 2, 20, 21, 22]),
        ("1-3,7", [1, 2, 3, 7]),
        ("1-3,2-5", [1, 2, 3, 4, 5]),
        ("007", [7]),
    ],
)
def test_grammar(text, frames):
    assert parse_frames(text) == frames


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("5-1", "'5-1'"),
        ("5,-1", "'5-1'"),
        ("1-3-7", "'1-3-7'"),
        ("1-", "'1-'"),
        ("-3", "'-3'"),
        ("a", "'a'"),
        ("1,,2", "''"),
        ("1,2,", "''"),
        (",", "''"),
        ("1.5", "'1.5'"),
        ("1,-3,7", "'-3'"),
        ("1 2", "'1 2'"),
        ("²", "'²'"),
        ("1:5", "'1:5'"),
    ],
)
def test_what_is_not_grammar_is_refused_and_named(text, part):
    with pytest.raises(ConfigError, match=r"^frames ") as caught:
        parse_frames(text)
    assert part in str(caught.value)
    assert repr(text) in str(caught.value)


def test_selections_that_would_fill_the_memory_are_refused():
    with pytest.raises(ConfigError, match=str(MAX_FRAMES)):
        parse_frames("0-99999999999")


@pytest.mark.parametrize(
    "value",
    [[1, 2], (1, 2), range(1, 3), np.array([1, 2]), np.array([1, 2], np.uint8), torch.tensor([1, 2]), "1-2", "2,1"],
)
def test_frames_in_python_are_whole_numbers_of_any_type_or_a_text(value):
    assert chosen_frames(value) == [1, 2]
    assert all(type(number) is int for number in chosen_frames(value))


def test_frames_that_are_not_chosen_are_all_of_them():
    assert chosen_frames(None) is chosen_frames("") is None
    assert chosen_frames([torch.tensor(3), np.int64(1)]) == [3, 1]
    assert chosen_frames([]) == []


@pytest.mark.parametrize(
    "value", [3, True, 1.5, [1.5], [True], np.array([True]), np.array(3), [None], ["1"], b"12", {1: 2}, np.ones((2, 2))]
)
def test_frames_of_another_type_are_refused(value):
    with pytest.raises(
        ConfigError, match=r"^frames (is|holds) .*; give whole numbers, as a list, a range or an array, or"
    ):
        chosen_frames(value)


def test_only_text_is_parsed():
    assert frame_numbers([5, 1]) == [5, 1]
    assert frame_numbers(None) is None
    assert frame_numbers("1-2") == [1, 2]
