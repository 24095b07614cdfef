import logging

import pytest

from sleap_nn.log import logger, quiet


def test_quiet_work_shows_errors_only(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.INFO, logger="sleap_nn")
    with pytest.raises(KeyError), quiet():
        logger.warning("again")
        logger.error("bad")
        raise KeyError
    logger.info("after")
    assert [record.getMessage() for record in caplog.records] == ["bad", "after"]
