import logging
from collections.abc import Iterator
from logging.handlers import BufferingHandler

import pytest

from sleap_nn import heartbeat
from sleap_nn.heartbeat import Heartbeat
from sleap_nn.log import logger, quiet, say_alive


@pytest.fixture(autouse=True)
def informative() -> Iterator[None]:
    """Show information, as commands do."""
    level = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(level)


def test_quiet_work_shows_errors_only(monkeypatch: pytest.MonkeyPatch):
    shown = BufferingHandler(capacity=10)
    monkeypatch.setattr(logger, "handlers", [shown])
    monkeypatch.setattr(logger, "propagate", False)
    with pytest.raises(KeyError), quiet():
        logger.warning("again")
        logger.error("bad")
        raise KeyError
    logger.info("after")
    assert [record.getMessage() for record in shown.buffer] == ["bad", "after"]


def test_quiet_work_gives_signs_of_life(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(logger, "propagate", True)
    with quiet():
        logger.info("hidden")
        with quiet():
            say_alive("still writing the report (6 s)")
        logger.warning("hidden")
    logger.info("shown")
    assert caplog.messages == ["still writing the report (6 s)", "shown"]


def test_lines_that_are_hidden_do_not_put_off_signs_of_life(monkeypatch: pytest.MonkeyPatch):
    heart = Heartbeat(lambda line: None, lambda: 7.0)
    monkeypatch.setattr(heartbeat, "_HEARTBEAT", heart)
    with quiet():
        logger.info("hidden")
        assert heart._last_line == 0.0
    logger.info("shown")
    assert heart._last_line == 7.0
