import contextlib
import copy
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


def test_parts_that_lie_on_each_other_are_refused(tmp_path: Path) -> None:
    """Many names for the same bytes: an archive that is a hundred times as large when it is read."""
    path = tmp_path / "best.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data/0", bytes(10_000))
        (entry,) = archive.filelist
        for number in range(1, 1000):
            other = copy.copy(entry)
            other.filename = f"archive/data/{number}"
            archive.filelist.append(other)
            archive.NameToInfo[other.filename] = other
    assert path.stat().st_size < 200_000
    with pytest.raises(ModelError, match="larger than the whole"):
        model_dir.read_checkpoint(path)


def test_names_in_an_archive_make_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    intact, path = save(tmp_path / "intact.ckpt"), tmp_path / "a" / "b" / "best.ckpt"
    with zipfile.ZipFile(intact) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
        target.writestr("../../escaped", b"x")
        target.writestr(f"{tmp_path}/escaped", b"x")
    before = sorted(tmp_path.rglob("*"))
    with contextlib.suppress(ModelError):
        model_dir.read_checkpoint(path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("zipped", [True, False])
def test_a_tensor_that_claims_more_than_its_part_of_the_file_is_refused(tmp_path: Path, zipped: bool) -> None:
    path, damaged = tmp_path / "best.ckpt", tmp_path / "damaged.ckpt"
    torch.save({"state_dict": {"model.a": torch.arange(77.0)}}, path, _use_new_zipfile_serialization=zipped)
    for claimed in (b"J\x00\x00\x00\x10", b"\x8a\x06\x00\x00\x00\x00\x00\x01"):  # 2**28 and 2**40 in place of 77
        if zipped:
            with zipfile.ZipFile(path) as source, zipfile.ZipFile(damaged, "w") as target:
                for name in source.namelist():
                    target.writestr(name, source.read(name).replace(b"KM", claimed))
        else:
            damaged.write_bytes(path.read_bytes().replace(b"KM", claimed))
        with pytest.raises(ModelError, match="give an intact file") as caught:
            model_dir.load_weights(damaged)
        assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize(
    "entry",
    [
        torch.zeros(1).expand(2**40),
        torch.zeros(3, device="meta"),
        torch.sparse_coo_tensor(torch.tensor([[2**40 - 1]]), torch.ones(1), (2**40,), check_invariants=True),
        "text",
        [1.0, 2.0],
        None,
    ],
    ids=["expanded", "meta", "sparse", "text", "list", "none"],
)
def test_entries_that_are_no_whole_tensors_are_refused(tmp_path: Path, entry: object) -> None:
    path = tmp_path / "best.ckpt"
    torch.save({"state_dict": {"model.a": entry}}, path)
    with pytest.raises(ModelError, match=r"its entry '?model\.a"):
        model_dir.load_weights(path)


def test_names_of_tensors_are_text(tmp_path: Path) -> None:
    torch.save({"state_dict": {7: torch.ones(1)}}, tmp_path / "best.ckpt")
    with pytest.raises(ModelError, match="its entry 7 is no tensor"):
        model_dir.load_weights(tmp_path / "best.ckpt")
