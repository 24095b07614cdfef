import os
import zipfile
from pathlib import Path

import pytest
import torch

from sleap_nn.errors import ModelError
from sleap_nn.networks import model_dir

STATE = {"model.a": torch.arange(3.0)}


class Metadata:
    """An object of an earlier version: it pickles under a name that does not exist here."""

    def __init__(self) -> None:
        self.key = "value"


Metadata.__module__, Metadata.__qualname__ = "omegaconf.base", "Metadata"


class Owned:
    """Unpickling this object would run a function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


def save(path: Path, **entries: object) -> Path:
    torch.save({"state_dict": STATE, **entries}, path)
    return path


def test_the_configuration_of_an_earlier_version_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import omegaconf.base

    monkeypatch.setattr(omegaconf.base, "Metadata", Metadata)
    path = save(tmp_path / "best.ckpt", config={"meta": Metadata(), "plain": [1, 2.0, "x"]})
    monkeypatch.undo()
    checkpoint = model_dir.read_checkpoint(path)
    assert checkpoint["config"]["plain"] == [1, 2.0, "x"]
    assert type(checkpoint["config"]["meta"]).__module__ != "omegaconf.base"
    assert torch.equal(checkpoint["state_dict"]["model.a"], STATE["model.a"])


@pytest.mark.parametrize(
    "owned",
    [Owned(os.system, "touch owned"), Owned(eval, "open('owned', 'w')"), Owned(Path.touch, Path("owned"))],
    ids=["system", "eval", "path"],
)
def test_functions_are_refused_and_do_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owned: Owned) -> None:
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path / "best.ckpt", config=owned)
    with pytest.raises(ModelError, match="give an intact file") as caught:
        model_dir.read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "owned").exists()


def test_a_packed_archive_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    intact, packed = save(tmp_path / "intact.ckpt"), tmp_path / "best.ckpt"
    with zipfile.ZipFile(intact) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, bytes(50_000_000) if name.endswith("data/0") else source.read(name))
    assert packed.stat().st_size < 1_000_000
    with pytest.raises(ModelError, match="compressed"):
        model_dir.read_checkpoint(packed)
