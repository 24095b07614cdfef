from sleap_nn.errors import reason


def test_a_reason_is_part_of_a_sentence() -> None:
    assert reason(ValueError("one\ntwo")) == "one"
    assert reason(MemoryError()) == "MemoryError"
    assert len(reason(OSError("x" * 10_000))) == 200
