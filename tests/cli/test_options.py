from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Annotated

import click
import pytest
from click.testing import CliRunner

from sleap_nn.cli.options import Command, Number, options_from
from sleap_nn.config.fields import Cli, Option, option_fields
from sleap_nn.errors import ConfigError, UsageError


def words(text):
    items = text.split(",")
    if "" in items:
        raise ConfigError("must be words between commas")
    return items


def odd(value):
    return None if value % 2 else f"must be odd, not {value}"


@dataclass(kw_only=True)
class Settings:
    batch_size: Annotated[int, Option("Frames in one pass.", ge=1, cli=Cli("Numbers", short="-b"))] = 4
    scale: Annotated[float, Option("A factor.", gt=0, cli=Cli("Numbers"))] = 1.0
    peak_threshold: Annotated[float, Option("A peak.", cli=Cli("Numbers", aliases=("peak-conf-threshold",)))] = 0.2
    patch: Annotated[int, Option("A side.", check=odd, cli=Cli("Numbers"))] = 5
    model_paths: Annotated[list[str] | None, Option("Models.", cli=Cli("Files", short="-m", repeat=True))] = None
    method: Annotated[
        str, Option("A measure.", choices=("oks", "iou"), unavailable_values=("iou",), cli=Cli("Files"))
    ] = "oks"
    formats: Annotated[list[str], Option("Formats.", choices=("slp", "h5"), convert=words, cli=Cli("Files"))] = field(
        default_factory=lambda: ["slp"]
    )
    tracking: Annotated[bool, Option("Follow them.", cli=Cli("Image", short="-t"))] = False
    ensure_rgb: Annotated[bool | None, Option("Colours.", cli=Cli("Image", pair=True))] = None
    use_flow: Annotated[bool, Option("Flow.", available=False, cli=Cli("Image"))] = False
    stream_to_file: Annotated[str | None, Option("A file.", cli=Cli("Files", name="stream-to-file"))] = None
    queue_maxsize: Annotated[int, Option("Not shown.", cli=Cli("Files", hidden=True))] = 32
    python_only: Annotated[int, Option("No option.")] = 0


DEFAULTS = {entry.name: entry.default for entry in option_fields(Settings)}


@pytest.fixture
def run():
    """Run a command made of Settings; returns what it received, or the click result if it did not run."""
    received = SimpleNamespace(values=None)

    @click.command(cls=Command, epilog="fake --batch_size 8      bigger\n")
    @options_from(Settings)
    @click.option("--own", help="An option of the command itself.")
    def command(**values):
        received.values = values

    def call(*args):
        received.values = None
        result = CliRunner().invoke(command, list(args))
        return result if received.values is None else received.values

    return call


def test_what_is_not_given_has_the_default_of_its_field(run):
    assert "python_only" not in DEFAULTS
    assert run() == DEFAULTS | {"own": None}


@pytest.mark.parametrize(
    ("args", "name", "value"),
    [
        (["--batch_size", "8"], "batch_size", 8),
        (["--batch-size=8"], "batch_size", 8),
        (["-b", "8"], "batch_size", 8),
        (["--peak-conf-threshold", "0.5"], "peak_threshold", 0.5),
        (["--peak_conf_threshold", "0.5"], "peak_threshold", 0.5),
        (["-m", "a", "--model-paths", "b"], "model_paths", ["a", "b"]),
        (["--method", "oks"], "method", "oks"),
        (["--formats", "slp,h5"], "formats", ["slp", "h5"]),
        (["-t"], "tracking", True),
        (["--no-ensure-rgb"], "ensure_rgb", False),
        (["--ensure_rgb"], "ensure_rgb", True),
        (["--stream_to_file", "out.slp"], "stream_to_file", "out.slp"),
        (["--stream-to-file", "a_b-c"], "stream_to_file", "a_b-c"),
        (["--own=x"], "own", "x"),
    ],
)
def test_given_options_arrive_in_both_spellings(run, args, name, value):
    assert run(*args)[name] == value


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--batch_size", "0"], "must be at least 1, not 0"),
        (["--batch_size", "many"], "'many' is not a valid integer"),
        (["--scale", "0"], "must be above 0, not 0"),
        (["--scale", "nan"], "must be a finite number, not nan"),
        (["--scale", "-inf"], "must be a finite number, not -inf"),
        (["--patch", "4"], "must be odd, not 4"),
        (["--method", "cosine"], "'oks', 'iou'"),
        (["--formats", "slp,,h5"], "must be words between commas"),
        (["--formats", "slp,png"], "must be one of slp, h5, not 'png'"),
        (["--batch_sice", "3"], "'--batch_size'"),
    ],
)
def test_wrong_values_are_usage_errors(run, args, message):
    result = run(*args)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--use-flow"], "--use_flow is not available yet; leave it out."),
        (["--method", "iou"], "--method: iou is not available yet; choose another value."),
    ],
)
def test_what_does_nothing_yet_is_refused(run, args, message):
    result = run(*args)
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("nan", "'nan' is not a finite number"),
        ("inf", "'inf' is not a finite number"),
        ("-1", "-1.0 is not in the range"),
        ("wide", "'wide' is not a valid float"),
    ],
)
def test_numbers_are_finite(value, message):
    with pytest.raises(click.BadParameter, match=message):
        Number(min=0).convert(value, None, None)
    assert Number(min=0).convert("0.5", None, None) == 0.5


def test_help_shows_groups_defaults_and_examples(run):
    text = run("-h").stdout
    headings = ["Options:", "Numbers:", "Files:", "Image:", "Not available yet:\n  --use_flow\n", "Examples:"]
    places = [text.index(heading) for heading in headings]
    assert places == sorted(places)
    assert "-b, --batch_size INTEGER" in text
    assert "[default: 4; x>=1]" in text
    assert "queue_maxsize" not in text
    assert text.endswith("Examples:\n  fake --batch_size 8      bigger\n")


@dataclass(frozen=True)
class Bounded:
    plain: Annotated[float | None, Option("Any; null: none.", cli=Cli("Numbers"))] = None
    above: Annotated[float | None, Option("A.", gt=0, cli=Cli("Numbers"))] = None
    below: Annotated[float | None, Option("B.", lt=1, cli=Cli("Numbers"))] = None
    share: Annotated[float | None, Option("C.", ge=0, le=1, cli=Cli("Numbers"))] = None
    part: Annotated[float | None, Option("D.", gt=0, le=64, cli=Cli("Numbers"))] = None


def test_help_shows_bounds_and_speaks_of_options_not_of_yaml():
    command = options_from(Bounded)(lambda **_: None)
    text = CliRunner().invoke(click.command(cls=Command)(command), ["-h"]).stdout
    lines = {line.split()[0]: line for line in text.splitlines() if line.startswith("  --")}
    bounds = {"--above": "[x>0]", "--below": "[x<1]", "--share": "[0<=x<=1]", "--part": "[0<x<=64]"}
    assert all(lines[name].endswith(bound) for name, bound in bounds.items())
    assert lines["--plain"].endswith("Any; without it: none.")


def test_spelling_is_left_alone_after_the_end_of_options():
    @click.command(cls=Command)
    @click.option("--data_path")
    @click.argument("rest", nargs=-1)
    def command(data_path, rest):
        click.echo(f"{data_path} {rest}")

    result = CliRunner().invoke(command, ["--data-path", "a", "--", "--data-path", "b"])
    assert result.stdout == "a ('--data-path', 'b')\n"
