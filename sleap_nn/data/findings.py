"""What a check of labels says: findings with places that a user can open, as lines of a log and as a file."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sleap_nn.errors import DataError, OutputError
from sleap_nn.whole_files import whole_file

MOST_FRAMES = 3
"""Frames that one line of a log names."""


@dataclass(frozen=True)
class Place:
    """Where something was found.

    Attributes:
        video: Name of the video.
        frame: Frame index, from 0.
        detail: What it is, and where in the frame.
    """

    video: str
    frame: int
    detail: str


@dataclass(frozen=True)
class Finding:
    """One kind of thing that looks wrong.

    Attributes:
        kind: A short name, the same in every run.
        summary: What was found, with its number.
        remedy: What to do about it.
        places: Every place; empty for what concerns all frames.
    """

    kind: str
    summary: str
    remedy: str
    places: tuple[Place, ...] = ()

    def line(self, most_frames: int = MOST_FRAMES) -> str:
        """Return the finding in one line that names its first frames."""
        frames: defaultdict[str, list[int]] = defaultdict(list)
        found = list(dict.fromkeys((place.video, place.frame) for place in self.places))
        for video, frame in found[:most_frames]:
            frames[video].append(frame)
        named = "; ".join(f"{video} frame {', '.join(map(str, some))}" for video, some in frames.items())
        rest = len(found) - most_frames
        more = f" and {rest} more" if rest > 0 else ""
        return f"{self.summary}{f' ({named}{more})' if found else ''}: {self.remedy}."


@dataclass(frozen=True)
class LabelReport:
    """The findings on some labels.

    Attributes:
        num_frames: Frames that were looked at.
        num_instances: Instances that were looked at.
        findings: What looks wrong; empty for clean labels.
    """

    num_frames: int
    num_instances: int
    findings: tuple[Finding, ...]

    @classmethod
    def load(cls, path: Path) -> LabelReport:
        """Read what `save` wrote.

        Raises:
            DataError: The file is damaged.
        """
        try:
            tree = json.loads(path.read_text(encoding="utf-8"))
            findings = tuple(
                Finding(**{**finding, "places": tuple(Place(**place) for place in finding["places"])})
                for finding in tree["findings"]
            )
            return cls(tree["num_frames"], tree["num_instances"], findings)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} cannot be read as a label check ({error}); delete it.") from error

    @property
    def scope(self) -> str:
        """What was looked at, in words."""
        return f"{counted(self.num_frames, 'frame')} with {counted(self.num_instances, 'instance')}"

    def lines(self) -> list[str]:
        """Return one line for every finding."""
        return [finding.line() for finding in self.findings]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "num_frames": self.num_frames,
            "num_instances": self.num_instances,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def save(self, path: Path) -> None:
        """Write the findings as JSON.

        Raises:
            OutputError: The file cannot be written.
        """
        try:
            with whole_file(path) as partial:
                partial.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"The label check cannot be written to {path} ({error}); choose another place."
            ) from error


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
