from pathlib import Path

import pytest
from factories import make_labels


@pytest.fixture(scope="session")
def generator_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `one.pkg.slp` (a single animal) and `two.pkg.slp` (two, with tracks)."""
    folder = tmp_path_factory.mktemp("generator")
    make_labels(6, height=64, width=96, num_animals=1, path=folder / "one.pkg.slp")
    make_labels(6, height=64, width=96, num_animals=2, path=folder / "two.pkg.slp")
    return folder
