"""What an earlier run has left of a prediction: a journal to go on with, or outputs that are finished already."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sleap_nn.data.fingerprint import digest
from sleap_nn.errors import OutputError
from sleap_nn.inference.journal import Contents, check_unwritten, read_contents
from sleap_nn.inference.manifest import SUFFIX, difference, file_hash
from sleap_nn.inference.output import Output
from sleap_nn.log import logger

if TYPE_CHECKING:
    from sleap_nn.inference.predictor import Predictor
    from sleap_nn.inference.select import Selection


def prediction_facts(predictor: Predictor, selection: Selection, started: datetime) -> dict[str, Any]:
    """Return what a journal says of a prediction; a run that goes on with it must say the same in ``decides``."""
    return {
        "decides": predictor.what_decides(selection),
        "batch_size": predictor.batch_size,
        "model_paths": [folder.resolve().as_posix() for folder in predictor.model_paths],
        "source": None if selection.path is None else selection.path.resolve().as_posix(),
        "requested": len(selection.frames),
        "started": started.isoformat(timespec="microseconds"),
    }


def writing_facts(predictor: Predictor, selection: Selection, output: Output, keep_empty: bool) -> dict[str, Any]:
    """Return what besides ``decides`` an output depends on, as it is found again in a manifest."""
    skeleton = predictor.skeleton if selection.skeleton is None else selection.skeleton
    tracking = predictor.tracker_config
    facts = {
        "formats": output.formats,
        "embed": output.embed,
        "restore_source_videos": output.restore_source_videos,
        "empty_frames": keep_empty,
        "emit_centroid": predictor.emit_centroid,
        "tracking": None if tracking is None else asdict(tracking),
        "names": digest(skeleton.node_names, [video.filename for video in selection.videos]),
    }
    return json.loads(json.dumps(facts))


def journal_left(journal: Path, facts: Mapping[str, Any], resume: bool) -> Contents | None:
    """Return what the journal of an earlier run holds, if this run goes on with it.

    Raises:
        OutputError: There is one, and somebody writes it, it is another prediction's, or nobody asked to go on.
    """
    before = read_contents(journal)
    if before is None or (before.num_frames == 0 and not resume):
        if resume and before is None:
            logger.info("There is no journal %s to go on with; predicting from the first frame.", journal)
        return None
    check_unwritten(journal)
    held = f"{journal} holds {before.num_frames} of {before.facts['requested']} frames of an interrupted prediction"
    if not resume:
        raise OutputError(f"{held}; add --resume to go on with it, or delete it to begin anew.")
    changed = difference(before.facts["decides"], facts["decides"])
    if changed is not None:
        raise OutputError(
            f"{held}, but {changed}; repeat the options of that run, or delete the journal to begin anew."
        )
    if before.facts["batch_size"] != facts["batch_size"]:
        logger.warning(
            "batch_size was %s and is %s; the last digits of what follows may differ from an uninterrupted run.",
            before.facts["batch_size"],
            facts["batch_size"],
        )
    logger.info("Going on after %d of %d frames, from %s.", before.num_frames, facts["requested"], journal)
    return before


def finished_output(output: Path, decides: Mapping[str, Any], written_as: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the manifest of an output that this very prediction has written, and that is as it was then; else None."""
    try:
        found = json.loads(output.with_name(output.name + SUFFIX).read_text(encoding="utf-8"))
        known = found["made_from"], found["written_as"]
        hashes = found["outputs"].items() if known == (json.loads(json.dumps(decides)), written_as) else ()
        whole = all(file_hash(output.with_name(name)) == content for name, content in hashes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none is there, or one of another release
        return None
    return found if hashes and whole else None
