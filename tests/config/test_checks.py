import pytest

from sleap_nn.config import checks
from sleap_nn.errors import ConfigError


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (checks.power_of_two, [1, 2, 16], [0, -2, 3, 12]),
        (checks.odd, [1, 3, 5], [0, 2, 4]),
        (checks.device_count, [0, 1, 8, "auto"], [-1, "many", "2"]),
        (checks.worker_count, [0, 1, 8, "auto"], [-1, "many"]),
        (
            checks.device_name,
            ["auto", "cpu", "cuda", "cuda:1", "mps"],
            ["gpu", "cuda:", "cuda:x", "cpu:0", ""],
        ),
    ],
)
def test_checks_tell_good_from_bad_and_name_the_bad(check, good, bad):
    assert [check(value) for value in good] == [None] * len(good)
    for value in bad:
        message = check(value)
        assert message.startswith("must be ")
        assert str(value) in message


@pytest.mark.parametrize("value", [0, 1, [0.5, 1]])
def test_whole_numbers_are_refused_where_readers_refuse_them(value):
    with pytest.raises(ValueError, match="decimal point"):
        checks.written_as_float(value)


@pytest.mark.parametrize("value", [0.0, 1e-8, [0.5, 1.0], "x", None])
def test_all_else_is_left_to_the_type(value):
    assert checks.written_as_float(value) == value


def test_a_path_is_no_number():
    assert checks.no_number("3") == "3"
    assert checks.no_number(["3"]) == ["3"]
    with pytest.raises(ValueError, match="not 3"):
        checks.no_number(3)


def test_ranges_have_their_smaller_end_first():
    checks.ordered({"a_min": 1, "a_max": 1, "b_min": 0, "b_max": 2}, "a", "b")
    with pytest.raises(ConfigError, match=r"b_min \(3\) must not be above b_max \(2\)"):
        checks.ordered({"a_min": 1, "a_max": 1, "b_min": 3, "b_max": 2}, "a", "b")
