import io
import logging
from collections.abc import Iterator
from logging.handlers import BufferingHandler

import pytest

from sleap_nn import heartbeat, log
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


@pytest.mark.parametrize(
    ("environment", "speaks"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, False),
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "2", "LOCAL_RANK": "0"}, False),
        ({"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}, False),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "4"}, True),
        ({"SLURM_PROCID": "3"}, True),
        ({"RANK": "0", "SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}, True),
    ],
)
def test_the_first_process_of_all_speaks(environment: dict[str, str], speaks: bool) -> None:
    assert log.speaks(environment) is speaks


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(log.logger, "handlers", list(log.logger.handlers))
    monkeypatch.setattr(log.logger, "propagate", log.logger.propagate)
    level = log.logger.level
    yield
    log.logger.setLevel(level)


def test_log_lines_of_another_process_are_made_again(restored: None, capsys: pytest.CaptureFixture[str]) -> None:
    log.relay(logging.INFO)
    log.logger.info("%d %% done", 50)
    log.logger.error("wrong")
    log.logger.debug("hidden")
    lines = capsys.readouterr().out.splitlines(keepends=True)
    made = io.StringIO()
    log.configure(made)
    assert [log.relayed(line) for line in lines] == [True, True]
    assert [line.split(" | ")[1] for line in made.getvalue().splitlines()] == ["50 % done", "wrong"]
    assert not log.relayed("printed\n")
