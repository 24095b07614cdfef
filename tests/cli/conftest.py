from collections.abc import Iterator

import pytest

from sleap_nn.heartbeat import bar_shown


@pytest.fixture(autouse=True)
def no_signs_of_life() -> Iterator[None]:
    """Keep them out of what commands print in this process, however slow the machine is."""
    with bar_shown():
        yield
