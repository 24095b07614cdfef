"""How the labels of a run become training and validation labels: which rule applies, and what is said about it.

The rules themselves are in `data.splits`. A resumed run uses the frames of its split again; a run that starts from
trained weights keeps every frame on the side where it was.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import torch

from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.frame_groups import FrameId
from sleap_nn.data.label_table import LabelTable, common_names
from sleap_nn.data.labels import Labels
from sleap_nn.data.splits import SplitRule, divide
from sleap_nn.errors import DataError
from sleap_nn.log import logger
from sleap_nn.training import run_folder
from sleap_nn.training.split_record import FileSplit, SplitRecord, find_frames
from sleap_nn.training.split_report import report_split

SHARED_SEED = 42
"""Seed of the split where no seed is set and several processes have to find the same one."""
_SAME = "use_same_data_for_val"


@dataclass(frozen=True)
class DividedLabels:
    """Training and validation labels, one entry a file, and the record of how they came about."""

    train: list[Labels]
    val: list[Labels]
    record: SplitRecord


def divide_labels(
    config: TrainingJobConfig,
    train: Sequence[Labels],
    val: Sequence[Labels] | None,
    record: SplitRecord | None = None,
) -> DividedLabels:
    """Divide the labels of a run.

    Args:
        config: What the user set.
        train: Labels of the training files.
        val: Labels of the validation files, None if a part of the training labels is to be set aside.
        record: How another process of this run has divided them; None: that of the run that is resumed, if any.

    Raises:
        DataError: The labels cannot be divided.
    """
    tables = [_table(labels, config) for labels in train]
    val_tables = None if val is None else [_table(labels, config) for labels in val]
    same = config.data_config.use_same_data_for_val
    resumed = _record_beside(config.trainer_config.resume_ckpt_path) if record is None else record
    if resumed is not None and same == (resumed.method == _SAME):
        again = _again(resumed, tables, val_tables)
        if again is not None:
            return again
    if same:
        return _same(tables)
    known, held_out = _earlier_sides(config, resumed, tables, val_tables)
    if val_tables is not None:
        return _given(tables, val_tables, known, held_out)
    return _divided(config, tables, known, held_out)


def warn_of_shared_frames(what: str, frames: Collection[FrameId], others: Collection[FrameId]) -> None:
    """Tell that frames of other labels are also trained on.

    Args:
        what: Name of the other labels.
        frames: The training frames.
        others: Frames of the other labels.
    """
    shared = find_frames(others, frames)
    if shared:
        logger.warning(
            "%d of the %d labelled frame(s) of the %s labels are also in the training labels, so their metrics say "
            "little about new frames; take these frames out of one of the two.",
            len(shared),
            len(set(others)),
            what,
        )


def split_seed(trainer: TrainerConfig) -> int:
    """Return the seed of the split; processes that train together have the same."""
    if trainer.seed is not None:
        return trainer.seed
    return SHARED_SEED if _num_devices(trainer) > 1 else secrets.randbits(31)


def _num_devices(trainer: TrainerConfig) -> int:
    """Return how many devices are asked for; without a number, all there are."""
    if trainer.trainer_device_indices is not None:
        return len(trainer.trainer_device_indices)
    if isinstance(trainer.trainer_devices, int):
        return trainer.trainer_devices
    return torch.cuda.device_count() if trainer.trainer_accelerator in ("auto", "gpu", "cuda") else 1


def _table(labels: Labels, config: TrainingJobConfig) -> LabelTable:
    """Return the frames that the configuration makes use of."""
    data, stored = config.data_config, config.model_config.head_configs.uses_stored_centroids
    return LabelTable.from_labels(labels, data.user_instances_only, data.use_negative_frames, stored)


def _record_beside(checkpoint: str | None) -> SplitRecord | None:
    """Return the split of the run folder that a checkpoint is in, None if there is none."""
    file = run_folder.beside(checkpoint, run_folder.SPLIT)
    return None if file is None else SplitRecord.load(file)


def _same(tables: Sequence[LabelTable]) -> DividedLabels:
    """Use the training labels on both sides."""
    files = tuple(FileSplit(_path(table), tuple(table.ids), tuple(table.ids)) for table in tables)
    labels = [table.labels for table in tables]
    return DividedLabels(labels, labels, SplitRecord(_SAME, None, files))


def _again(
    record: SplitRecord, tables: Sequence[LabelTable], val_tables: Sequence[LabelTable] | None
) -> DividedLabels | None:
    """Use the frames of an earlier split again; None if these are other labels."""
    sources = tables if val_tables is None else val_tables
    sides = [_renamed(numbers, files) for numbers, files in ((record.trained, tables), (record.validated, sources))]
    parts = [[table.part(side) for table in files] for side, files in zip(sides, (tables, sources), strict=True)]
    if any(sum(map(len, part)) == 0 for part in parts):
        logger.warning("The split of the run that is resumed has no frame of these labels; they are divided anew.")
        return None
    used = {*sides[0], *sides[1]}
    num_new = len({frame for table in (*tables, *(val_tables or ())) for frame in table.ids} - used)
    num_gone = len(record.trained) + len(record.validated) - len(sides[0]) - len(sides[1])
    logger.info("The split of the run is used again: %d frames train, %d validate.", len(sides[0]), len(sides[1]))
    if num_new:
        logger.warning(
            "%d labelled frame(s) are new since the run began and are not used; to learn from them, start a new run "
            "with model_config.pretrained_backbone_weights set to the checkpoint.",
            num_new,
        )
    if num_gone > 0:
        logger.warning("%d frame(s) of the split are no longer labelled, so the run does not go on exactly.", num_gone)
    return DividedLabels(parts[0], parts[1], record)


def _renamed(numbers: Mapping[FrameId, int], tables: Sequence[LabelTable]) -> dict[FrameId, int]:
    """Return the numbers of those frames that are in tables, under the names they have there."""
    found = find_frames((frame for table in tables for frame in table.ids), numbers)
    return {frame: numbers[same[0]] for frame, same in found.items()}


def _earlier_sides(
    config: TrainingJobConfig,
    resumed: SplitRecord | None,
    tables: Sequence[LabelTable],
    val_tables: Sequence[LabelTable] | None,
) -> tuple[dict[FrameId, bool], tuple[FrameId, ...]]:
    """Return the sides that frames had in the runs whose weights this one starts from, and what validated elsewhere."""
    model = config.model_config
    weights = dict.fromkeys((model.pretrained_backbone_weights, model.pretrained_head_weights))
    records = [resumed, *(_record_beside(path) for path in weights)]
    ids = list(dict.fromkeys(frame for table in (*tables, *(val_tables or ())) for frame in table.ids))
    known: dict[FrameId, bool] = {}
    held_out: dict[FrameId, None] = {}
    for record in records:
        if record is None:
            continue
        for frame, validates in record.sides_of(ids).items():
            known[frame] = validates or known.get(frame, False)
        trained = record.trained
        validated = [frame for frame in (*record.validated, *record.held_out) if frame not in trained]
        here = {other for same in find_frames(ids, validated).values() for other in same}
        held_out |= dict.fromkeys(frame for frame in validated if frame not in here)
    return known, tuple(held_out)


def _given(
    tables: Sequence[LabelTable],
    val_tables: Sequence[LabelTable],
    known: Mapping[FrameId, bool],
    held_out: tuple[FrameId, ...],
) -> DividedLabels:
    """Use validation files; frames that validated the weights this run starts from do not train."""
    train_ids = [[frame for frame in table.ids if not known.get(frame, False)] for table in tables]
    num_left_out = sum(len(table.ids) - len(ids) for table, ids in zip(tables, train_ids, strict=True))
    if num_left_out:
        logger.warning(
            "%d frame(s) of the training labels validated the weights that this training starts from; they are left "
            "out.",
            num_left_out,
        )
    val_ids = [frame for table in val_tables for frame in table.ids]
    warn_of_shared_frames("validation", {frame for ids in train_ids for frame in ids}, val_ids)
    train = [
        table.part(set(ids)) if num_left_out else table.labels for table, ids in zip(tables, train_ids, strict=True)
    ]
    files = [FileSplit(_path(table), train=tuple(ids)) for table, ids in zip(tables, train_ids, strict=True)]
    files += [FileSplit(_path(table), val=tuple(table.ids)) for table in val_tables]
    record = SplitRecord("val_labels_path", None, tuple(files), held_out=held_out)
    return DividedLabels(train, [table.labels for table in val_tables], record)


def _divided(
    config: TrainingJobConfig,
    tables: Sequence[LabelTable],
    known: Mapping[FrameId, bool],
    held_out: tuple[FrameId, ...],
) -> DividedLabels:
    """Divide the frames of all training files together."""
    data = config.data_config
    if known:
        num_val = sum(known.values())
        logger.info(
            "%d frames are known from the weights that this training starts from and stay on their side: %d train, "
            "%d validate.",
            len(known),
            len(known) - num_val,
            num_val,
        )
    rule = SplitRule.from_config(data.split, data.validation_fraction, split_seed(config.trainer_config))
    names = common_names(video for table in tables for video, _ in table.ids)
    rows = [replace(row, video=names[row.video]) for table in tables for row in table.rows]
    if not any(row.labelled for row in rows):
        kind = "user-labelled" if data.user_instances_only else "labelled"
        raise DataError(f"The labels hold no frame with a visible {kind} point; label at least one frame.")
    sides: dict[FrameId, bool] = {}
    for (video, frame), validates in known.items():
        sides[names[video], frame] = validates or sides.get((names[video], frame), False)
    division = divide(rows, rule, sides)
    report_split(rows, rule, division)
    files = tuple(
        FileSplit(
            _path(table),
            train=tuple(one for one in table.ids if (names[one[0]], one[1]) in division.train),
            val=tuple(one for one in table.ids if (names[one[0]], one[1]) in division.val),
        )
        for table in tables
    )
    settings = {key: value for key, value in asdict(rule).items() if key not in ("method", "seed")}
    record = SplitRecord(rule.method, rule.seed, files, settings, held_out)
    parts = list(zip(tables, files, strict=True))
    return DividedLabels(
        [table.part(set(file.train)) for table, file in parts],
        [table.part(set(file.val)) for table, file in parts],
        record,
    )


def _path(table: LabelTable) -> str | None:
    """Return the file that labels were read from."""
    name = table.labels.provenance.get("filename")
    return None if name is None else str(name)
