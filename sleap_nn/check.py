"""The verb `check`: what is likely to be wrong in labels, before anything is trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sleap_nn.data.findings import Finding, LabelReport
from sleap_nn.data.label_check import Purpose, check_labels
from sleap_nn.data.labels import LabelSet, load_labels

EVERYTHING = Purpose(identities=True)
"""Whatever can be told without knowing which model will be trained."""


def check_files(
    paths: Sequence[str | Path], user_instances_only: bool = True, purpose: Purpose = EVERYTHING
) -> LabelReport:
    """Check label files together: what is usual in them is the measure of what is not.

    Args:
        paths: ``.slp`` or ``.pkg.slp`` files with the same nodes; their videos need not be there.
        user_instances_only: Leave predicted instances out.
        purpose: What the labels are for.

    Raises:
        MissingFileError: A file is not there.
        DataError: A file is no labels file, nothing is labelled, or the nodes differ.
    """
    labels = [load_labels(path, open_videos=False) for path in paths]
    return check_labels([LabelSet.from_labels(labels, user_instances_only)], purpose)


def report_text(report: LabelReport) -> str:
    """Return everything that was found, each finding with a table of its places."""
    if not report.findings:
        return f"{report.scope}: nothing looks wrong."
    parts = [_with_places(finding) for finding in report.findings]
    return "\n\n".join([f"{report.scope}:", *parts])


def _with_places(finding: Finding) -> str:
    """Return one finding and its table."""
    head = f"{finding.summary}: {finding.remedy}."
    width = max((len(place.video) for place in finding.places), default=0)
    rows = [f"  {place.video:{width}}  frame {place.frame:>6}  {place.detail}" for place in finding.places]
    return "\n".join([head, *rows])
