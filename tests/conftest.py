from collections.abc import Iterator

import pytest

from sleap_nn.log import logger


@pytest.fixture(autouse=True)
def plain_logger() -> Iterator[None]:
    """Undo what commands that run in this process did to the log; pytest listens to a logger once, where it ends."""
    yield
    logger.handlers[:] = []
    logger.setLevel(0)
    logger.propagate = True
