import io
import logging
from collections.abc import Iterator

import pytest

from sleap_nn import log


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
