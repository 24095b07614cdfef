import pytest

from sleap_nn.config.frames import MAX_FRAMES, frame_numbers, parse_frames
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


def test_only_text_is_parsed():
    assert frame_numbers([5, 1]) == [5, 1]
    assert frame_numbers(None) is None
    assert frame_numbers("1-2") == [1, 2]
