import multiprocessing
from collections.abc import Iterator

import pytest
from forking import fork_server

from sleap_nn.log import logger

if "forkserver" in multiprocessing.get_all_start_methods():
    fork_server()  # before any test can start a server that has imported nothing


@pytest.fixture(autouse=True)
def plain_logger() -> Iterator[None]:
    """Undo what commands that run in this process did to the log; pytest listens to a logger once, where it ends."""
    yield
    logger.handlers[:] = []
    logger.setLevel(0)
    logger.propagate = True
