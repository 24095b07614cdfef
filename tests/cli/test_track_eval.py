from pathlib import Path

import pytest
from click.testing import CliRunner
from factories import make_labels

from sleap_nn.cli import cli
from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.track import track


@pytest.mark.parametrize("name", ["track-eval", "eval-tracking"])
def test_tracks_are_compared_under_both_names(name: str, tmp_path: Path) -> None:
    make_labels(4, num_animals=2, path=tmp_path / "truth.pkg.slp")
    track(tmp_path / "truth.pkg.slp", TrackerConfig(tracker="global"), output_path=tmp_path / "found.slp")
    files = ["-g", str(tmp_path / "found.slp"), "-p", str(tmp_path / "found.slp")]
    result = CliRunner().invoke(cli, [name, *files, "-s", str(tmp_path / "metrics.json")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "HOTA                  1.0000" in result.stdout
    assert (tmp_path / "metrics.json").is_file()


def test_values_out_of_range_are_wrong_usage() -> None:
    for option in (["--oks_stddev", "0"], ["--mt_threshold", "2"], ["--carrier", "box"]):
        assert CliRunner().invoke(cli, ["track-eval", "-g", "a.slp", "-p", "b.slp", *option]).exit_code == 2


def test_metrics_do_not_overwrite_what_is_compared(tmp_path: Path) -> None:
    labels = tmp_path / "tracked.slp"
    labels.write_bytes(b"labels")
    result = CliRunner().invoke(cli, ["track-eval", "-g", str(labels), "-p", str(labels), "-s", str(labels)])
    assert result.exit_code == 2
    assert "is a file that is read" in result.stderr
    assert labels.read_bytes() == b"labels"
