"""The frame cache of a run: where it is, whether it fits, who fills it, and what remains of it.

How frames are kept is decided in `data.frame_stores`, and how they are read ahead in `data.cache`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from sleap_nn.config.data_config import DataConfig
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.cache import CachedFrames, CacheFiller
from sleap_nn.data.frame_stores import NOBODY, RESERVE, DiskStore, FrameStore, MemoryStore, remove_owned
from sleap_nn.data.loaders import usable_cpus
from sleap_nn.data.memory import available_memory
from sleap_nn.data.sources import FrameSource
from sleap_nn.errors import ConfigError, MissingFileError, OutputError, TrainingInterruptedError
from sleap_nn.log import logger, rank
from sleap_nn.training import run_folder
from sleap_nn.training.training_data import TrainingData, input_spec

FOLDER = "frame_cache"
IN_MEMORY, ON_DISK = "torch_dataset_cache_img_memory", "torch_dataset_cache_img_disk"

_SOLE_OWNER = b"a folder's owner"
_SPARE = 1.2
"""Memory that must be available for each byte of frames."""
_MOST_THREADS = 4
_FEWEST_FRAMES = 20
"""Fewer frames are not worth a thread."""


@dataclass(frozen=True)
class CachedData:
    """What a run trains on.

    Attributes:
        data: Its frames come from the cache.
        filler: Threads that fill the cache.
    """

    data: TrainingData
    filler: CacheFiller


@contextmanager
def machine_folder(run_dir: Path | None, token: str | None) -> Iterator[Path | None]:
    """Yield the folder in which the processes of this machine share what they keep.

    Args:
        run_dir: The run folder, where this machine has it.
        token: A name that the processes of this run have in common, None for a process that stands alone.
    """
    if run_dir is not None or token is None:
        yield run_dir
        return
    folder = Path(tempfile.gettempdir()) / f"sleap_nn_{token}"
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def frame_cache(config: TrainingJobConfig, data: TrainingData, run_dir: Path | None) -> Iterator[CachedData]:
    """Keep the frames of a run as its configuration says, for as long as the context lasts.

    Files are removed at the end and after an error, unless the configuration keeps them, but not when the run was
    interrupted and can be resumed.

    Args:
        config: The resolved configuration.
        data: Labels and frames.
        run_dir: The run folder, None for a run that is not saved.

    Raises:
        ConfigError: Options contradict each other.
        MissingFileError: A frame is not in the cache that is to be used.
        OutputError: The folder cannot be made.
    """
    with _stores(config, data.sources, run_dir) as stores:
        if not stores:
            yield CachedData(data, CacheFiller([], 0))
            return
        # Files can be shared by runs that read frames at different scales, memory cannot.
        reduced = input_spec(config).reduced if isinstance(stores[0], MemoryStore) else None
        caches = [CachedFrames(source, store, reduced) for source, store in zip(data.sources, stores, strict=True)]
        filler = CacheFiller(caches, _num_threads(config.data_config, caches), _first_part())
        filler.start()
        try:
            yield CachedData(data.with_sources(caches), filler)
        finally:
            filler.stop()


@contextmanager
def _stores(
    config: TrainingJobConfig, sources: Sequence[FrameSource], run_dir: Path | None
) -> Iterator[list[FrameStore]]:
    """Yield a store for each source, none if frames are read whenever they are needed."""
    options = config.data_config
    _check_existing(options, run_dir)
    in_memory = _memory_stores(config, sources) if options.data_pipeline_fw == IN_MEMORY else []
    if in_memory or options.data_pipeline_fw not in (IN_MEMORY, ON_DISK):
        yield in_memory
        return
    with _folder(options, run_dir) as (folder, owner):
        yield list(_disk_stores(options, sources, folder, owner))


def _check_existing(options: DataConfig, run_dir: Path | None) -> None:
    """Refuse to use frames of an earlier run where there can be none.

    Raises:
        ConfigError: The message says which option to change.
    """
    if not options.use_existing_imgs:
        return
    if options.data_pipeline_fw != ON_DISK:
        raise ConfigError(
            f"data_config.use_existing_imgs is true, but data_pipeline_fw is {options.data_pipeline_fw}; set it to "
            f"{ON_DISK}, or use_existing_imgs to false."
        )
    if options.cache_img_path is None and run_dir is None:
        raise ConfigError(
            "data_config.use_existing_imgs is true, but cache_img_path does not say where the frames are; set it to "
            "the folder in which an earlier run kept them."
        )


def _memory_stores(config: TrainingJobConfig, sources: Sequence[FrameSource]) -> list[FrameStore]:
    """Return stores in memory, none if there is too little of it."""
    spec = input_spec(config)
    shapes = [[spec.reduced_shape(*shape) for shape in source.shapes()] for source in sources]
    needed, available = sum(map(MemoryStore.num_bytes, shapes)), available_memory()
    frames = f"The {sum(map(len, shapes)):,} frames need {_text(needed)} of memory"
    processes = _num_processes()
    if available is not None and needed * processes * _SPARE > available:
        here = f" in each of {processes} processes" if processes > 1 else ""
        logger.warning("%s%s, and %s are available; they are kept on disk instead.", frames, here, _text(available))
        return []
    loaders = (config.trainer_config.train_data_loader, config.trainer_config.val_data_loader)
    try:
        return [MemoryStore(shape, any(loader.num_workers for loader in loaders)) for shape in shapes]
    except OSError as error:
        logger.warning("%s, which cannot be had (%s); they are kept on disk instead.", frames, error)
        return []


def _disk_stores(
    options: DataConfig, sources: Sequence[FrameSource], folder: Path, owner: bytes
) -> Iterator[FrameStore]:
    """Yield stores on disk, none if they would fill it.

    Raises:
        MissingFileError: Frames of an earlier run are to be used, and one is not there.
    """
    stores = [DiskStore(folder, source.fingerprints(), owner) for source in sources]
    missing = [
        (source, key, shape)
        for source, store in zip(sources, stores, strict=True)
        for index, (key, shape) in enumerate(zip(source.keys, source.shapes(), strict=True))
        if not store.holds(index)
    ]
    if options.use_existing_imgs and missing:
        source, key, _ = missing[0]
        raise MissingFileError(
            f"data_config.use_existing_imgs is true, but {len(missing)} of {sum(map(len, sources))} frames are not in "
            f"{folder} or have changed since, the first of them frame {key.frame} of "
            f"{source.videos()[key.video].filename}; set it to false, and they are read from the videos."
        )
    needed = MemoryStore.num_bytes([shape for _, _, shape in missing])
    free = shutil.disk_usage(folder).free
    if needed + RESERVE > free:
        logger.warning(
            "Keeping the frames in %s needs %s, and %s are free; they are read from the videos whenever they are "
            "needed. Choose another data_config.cache_img_path to keep them.",
            folder,
            _text(needed + RESERVE),
            _text(free),
        )
        return
    yield from stores


@contextmanager
def _folder(options: DataConfig, run_dir: Path | None) -> Iterator[tuple[Path, bytes]]:
    """Yield the folder of the cache and the mark of this run, and clean up in the end.

    Raises:
        OutputError: The folder cannot be made.
    """
    given = options.cache_img_path
    owner = _owner(options, run_dir)
    try:
        if given is None and run_dir is None:
            folder = Path(tempfile.mkdtemp(prefix="sleap_nn_frames_"))
        else:
            folder = Path(given) if given is not None else Path(str(run_dir)) / FOLDER
            if not options.use_existing_imgs:
                folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {given or run_dir or tempfile.gettempdir()} for cached frames cannot be made ({error}); "
            "choose another data_config.cache_img_path."
        ) from error
    logger.info("Decoded frames are kept in %s.", folder)
    keep = not options.delete_cache_imgs_after_training
    try:
        yield folder, owner
    except (TrainingInterruptedError, KeyboardInterrupt):
        keep = keep or (run_dir is not None and run_folder.newest_checkpoint(run_dir) is not None)
        raise
    finally:
        shared = given is not None or run_dir is not None
        if not keep and owner != NOBODY and (rank() <= 0 or not shared):
            remove_owned(folder, owner)
            if given is None:
                with suppress(OSError):
                    folder.rmdir()


def _owner(options: DataConfig, run_dir: Path | None) -> bytes:
    """Return the mark of a run in its cache: the same when it is resumed, and in all its processes.

    In a folder that several runs share it is one of its own; in the run folder, which can be moved, everything is its.
    """
    if options.use_existing_imgs:
        return NOBODY
    if options.cache_img_path is None:
        return _SOLE_OWNER
    return os.urandom(16) if run_dir is None else blake2b(str(run_dir.resolve()).encode(), digest_size=16).digest()


def _num_threads(options: DataConfig, caches: Sequence[CachedFrames]) -> int:
    """Return how many threads fill the caches."""
    if not options.parallel_caching or sum(map(len, caches)) < _FEWEST_FRAMES:
        return 0
    return options.cache_workers if options.cache_workers > 0 else min(_MOST_THREADS, usable_cpus())


def _num_processes() -> int:
    """Return how many training processes share the memory of this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("WORLD_SIZE", "1")))


def _first_part() -> float:
    """Return where this process begins to fill, so that several do not all read the same frames."""
    return max(0, rank()) / max(1, _num_processes(), rank() + 1)


def _text(num_bytes: int) -> str:
    """Return a number of bytes for people."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"
