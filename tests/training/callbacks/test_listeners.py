import logging

import pytest
from listening import Notebook

from sleap_nn.training.callbacks.listeners import Event, Failsafe, Listeners

EVENT = Event("epoch_begin", epoch=3)
METHODS = ["open", "write", "draw", "wants_stop", "close"]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    caplog.set_level(logging.INFO, logger="sleap_nn")
    return caplog


def follow_a_run(*books: Notebook) -> Listeners:
    listeners = Listeners(books)
    with listeners:
        listeners.open()
        for _ in range(2):
            listeners.write(EVENT)
            listeners.add(3, [])
            listeners.wants_stop(True)
    return listeners


def test_all_are_told_everything_in_order() -> None:
    books = Notebook(), Notebook()
    follow_a_run(*books)
    told = [("write", EVENT), ("draw", 3), ("wants_stop", True)]
    for book in books:
        assert book.calls == [("open", None), *told, *told, ("close", False)]


def test_before_they_are_opened_nobody_is_told_anything() -> None:
    book = Notebook()
    listeners = Listeners([book])
    with listeners:
        listeners.write(EVENT)
        listeners.add(0, [])
        assert not listeners.wants_stop(True)
    assert book.calls == []


def test_they_are_opened_once_and_closed_by_the_outermost_block() -> None:
    book = Notebook()
    listeners = Listeners()
    with listeners:
        listeners.join([book])
        with listeners:
            listeners.open()
            listeners.open()
        listeners.write(EVENT)
    listeners.write(EVENT)
    assert book.names() == ["open", "write", "close"]


def test_they_learn_that_a_run_failed() -> None:
    book = Notebook()
    listeners = Listeners([book])
    with pytest.raises(KeyboardInterrupt), listeners:
        listeners.open()
        raise KeyboardInterrupt
    assert book.calls[-1] == ("close", True)


def test_the_page_is_that_of_the_first_who_has_one() -> None:
    assert follow_a_run(Notebook(), Notebook(url="https://a"), Notebook(url="https://b")).url == "https://a"
    assert follow_a_run(Notebook()).url is None


def test_one_who_wants_the_run_to_end_is_enough() -> None:
    assert follow_a_run(Notebook(), Notebook(stop_at=1)).stop_received
    assert not follow_a_run(Notebook()).stop_received


def test_nobody_is_nobody() -> None:
    assert not Listeners()
    assert Listeners([Notebook()])


def test_drawings_are_made_if_one_wants_them() -> None:
    book = Notebook()
    assert not Listeners([book]).want_drawings
    book.wants_drawings = True
    assert Listeners([Notebook(), book]).want_drawings


@pytest.mark.parametrize("method", METHODS)
def test_an_error_is_one_warning_and_ends_the_listening_of_that_one_only(
    method: str, logged: pytest.LogCaptureFixture
) -> None:
    broken, other = Notebook(fail_in=method), Notebook()
    follow_a_run(broken, other)
    (record,) = logged.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        f"The notebook is switched off for this run, which is not affected: RuntimeError: no {method} today."
    )
    assert broken.names().count(method) == 1
    assert broken.names()[-1] == "close"
    assert len(other.calls) == 8


def test_one_who_failed_is_closed_as_failed_and_silently(logged: pytest.LogCaptureFixture) -> None:
    class Hopeless(Notebook):
        def _note(self, name: str, argument: object = None) -> None:
            super()._note(name, argument)
            if name in ("write", "close"):
                raise OSError

    book = Hopeless()
    follow_a_run(book)
    assert book.calls[-1] == ("close", True)
    assert [record.getMessage() for record in logged.records] == [
        "The notebook is switched off for this run, which is not affected: OSError."
    ]


def test_the_failsafe_lets_through_what_ends_a_process() -> None:
    def leave() -> None:
        raise KeyboardInterrupt

    safe = Failsafe("It")
    with pytest.raises(KeyboardInterrupt):
        safe.call(leave, default=None)
    assert safe.is_on
    assert safe.call(lambda: 3, default=0) == 3
