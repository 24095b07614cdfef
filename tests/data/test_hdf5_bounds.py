"""Files that claim more than they hold are refused before it is read; the limits of memory would be felt."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
from factories import make_labels

from sleap_nn.data import hdf5_bounds
from sleap_nn.data.labels import load_labels
from sleap_nn.errors import DataError

MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("labels") / "labels.pkg.slp"
    make_labels(3, path=path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, package: bytes) -> Path:
    (tmp_path / "labels.pkg.slp").write_bytes(package)
    return tmp_path / "labels.pkg.slp"


@contextmanager
def little_memory(mebibytes: int) -> Iterator[None]:
    """Fail if Python takes more memory than so much at a time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < mebibytes * MEBIBYTE
    finally:
        tracemalloc.stop()


def replaced(file: h5py.File, name: str, rows: int, **options: object) -> h5py.Dataset:
    dtype = file[name].dtype
    del file[name]
    return file.create_dataset(name, shape=(rows,), dtype=dtype, **options)


def endless_table(file: h5py.File) -> None:
    replaced(file, "points", 10**12, chunks=(4096,))


def endless_numbers(file: h5py.File) -> None:
    replaced(file, "video0/frame_numbers", 10**12, chunks=(4096,))


def packed_zeros(file: h5py.File) -> None:
    table = replaced(file, "frames", 40 * MEBIBYTE, chunks=(MEBIBYTE,), compression="gzip")
    table[:MEBIBYTE] = np.zeros(MEBIBYTE, table.dtype)


def endless_text(file: h5py.File) -> None:
    file.create_dataset("tracks", shape=(10**11,), dtype=h5py.string_dtype(), chunks=(1024,))


def a_table_called_like_images(file: h5py.File) -> None:
    file.move("points", "video")
    replaced(file, "video", 10**12, chunks=(4096,))


def a_second_name(file: h5py.File) -> None:
    file.create_dataset("hidden/video", shape=(10, 10**8), dtype="u1", chunks=(1, 4096))
    del file["points"]
    file["points"] = file["hidden/video"]


def a_soft_link(file: h5py.File) -> None:
    file.create_dataset("hidden/video", shape=(10, 10**8), dtype="u1", chunks=(1, 4096))
    del file["points"]
    file["points"] = h5py.SoftLink("/hidden/video")


def another_file(file: h5py.File) -> None:
    del file["points"]
    file["points"] = h5py.ExternalLink("/etc/other.slp", "points")


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", shape=(4,))
    del file["points"]
    file.create_virtual_dataset("points", layout)


def many_images(file: h5py.File) -> None:
    attributes = dict(file["video0/video"].attrs)
    del file["video0/video"]
    images = file.create_dataset("video0/video", shape=(10**12,), dtype=h5py.vlen_dtype("i1"), chunks=(64,))
    images.attrs.update(attributes)


def long_images(file: h5py.File) -> None:
    attributes = dict(file["video0/video"].attrs)
    del file["video0/video"]
    images = file.create_dataset("video0/video", shape=(3, 10**11), dtype="i1", chunks=(1, 4096))
    images.attrs.update(attributes)


def absurd(file: h5py.File, index: int) -> None:
    images = [np.array(image, np.uint8) for image in file["video0/video"][:]]
    images[index][16:24] = np.frombuffer((10**6).to_bytes(4, "big") * 2, np.uint8)
    attributes = dict(file["video0/video"].attrs)
    del file["video0/video"]
    longest = max(map(len, images))
    table = np.array([np.pad(image, (0, longest - len(image))) for image in images]).astype("i1")
    file.create_dataset("video0/video", data=table)
    file["video0/video"].attrs.update(attributes)


def an_absurd_image(file: h5py.File) -> None:
    absurd(file, 0)


def an_absurd_image_further_on(file: h5py.File) -> None:
    absurd(file, 2)


CASES: dict[Callable[[h5py.File], None], str] = {
    endless_table: r"its tables, up to points, claim \d+ bytes, while the file has \d+",
    endless_numbers: r"its tables, up to .*, claim",
    packed_zeros: r"its tables, up to .*, claim",
    endless_text: "its tables, up to tracks, claim",
    a_table_called_like_images: "its tables, up to video, claim",
    a_second_name: "its tables, up to points, claim",
    a_soft_link: "its tables, up to points, claim",
    another_file: "points is in another file",
    virtual: "points is stored in other files",
    many_images: "video0/video claims 1000000000000 images",
    long_images: "video0/video claims images of 100000000000 bytes",
    an_absurd_image: "video0/video holds an image of 1000000 x 1000000 px",
    an_absurd_image_further_on: "video0/video holds an image of 1000000 x 1000000 px",
}


@pytest.mark.parametrize("change", CASES, ids=lambda change: change.__name__)
def test_a_file_that_claims_too_much_is_refused(path: Path, change: Callable[[h5py.File], None]) -> None:
    with h5py.File(path, "r+") as file:
        change(file)
    with little_memory(100), pytest.raises(DataError, match=f"labels.pkg.slp is not read because .*{CASES[change]}"):
        load_labels(path)


def test_names_that_lead_in_circles_are_followed_once(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        group = file.create_group("circle")
        for i in range(20):
            group[f"again{i}"] = group
            group[f"root{i}"] = h5py.SoftLink("/")
    assert len(load_labels(path)) == 3


def test_tables_that_are_packed_a_little_are_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(path, "r+") as file:
        for name in ("points", "frames", "instances"):
            content = file[name][:]
            attributes = dict(file[name].attrs)
            del file[name]
            file.create_dataset(name, data=content, compression="gzip")
            file[name].attrs.update(attributes)
    monkeypatch.setattr(hdf5_bounds, "ALWAYS_ALLOWED", 0)
    assert len(load_labels(path)) == 3


@pytest.mark.parametrize("part", [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_files_that_were_cut_are_refused_with_a_sentence(path: Path, package: bytes, part: float) -> None:
    path.write_bytes(package[: int(part * len(package))])
    with pytest.raises(DataError, match=r"^[^\n]* cannot be read as a SLEAP labels file \([^\n]*$"):
        load_labels(path)


def test_a_labels_file_of_nothing_but_nested_json(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["metadata"].attrs["json"] = np.bytes_(b"[" * 60_000)
    with pytest.raises(DataError, match="cannot be read as a SLEAP labels file"):
        load_labels(path)
