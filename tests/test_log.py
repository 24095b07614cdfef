import logging
from logging.handlers import BufferingHandler

import pytest

from sleap_nn.log import logger, quiet


def test_quiet_work_shows_errors_only(monkeypatch: pytest.MonkeyPatch):
    shown = BufferingHandler(capacity=10)
    monkeypatch.setattr(logger, "handlers", [shown])
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "level", logging.INFO)
    with pytest.raises(KeyError), quiet():
        logger.warning("again")
        logger.error("bad")
        raise KeyError
    logger.info("after")
    assert [record.getMessage() for record in shown.buffer] == ["bad", "after"]
