from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from sleap_nn.cli.options import Command, options_from
from sleap_nn.config.fields import OptionField
from sleap_nn.errors import ConfigError


def field(name, type_=str, default=None, **facts):
    blank = {
        "help": f"About {name}.",
        "choices": (),
        "short": "",
        "aliases": (),
        "available": True,
        "is_flag": False,
        "minimum": None,
        "maximum": None,
        "long": name,
        "is_pair": False,
        "is_list": False,
        "optional": True,
        "hidden": False,
        "group": "Numbers",
        "metavar": "",
        "convert": None,
    }
    return OptionField(name=name, type=type_, default=default, **(blank | facts))


def words(text):
    items = text.split(",")
    if "" in items:
        raise ConfigError("must be words between commas")
    return items


FIELDS = [
    field("batch_size", int, 4, short="-b", minimum=1),
    field("peak_threshold", float, 0.2, minimum=0, maximum=1, aliases=("peak-conf-threshold",)),
    field("model_paths", is_list=True, short="-m"),
    field("method", default="oks", choices=("oks", "iou")),
    field("formats", default=["slp"], convert=words, choices=("slp", "h5")),
    field("tracking", bool, False, is_flag=True, short="-t"),
    field("ensure_rgb", bool, None, is_flag=True, is_pair=True, group="Image"),
    field("use_flow", bool, False, is_flag=True, available=False),
    field("stream_to_file", long="stream-to-file"),
    field("queue_maxsize", int, 32, hidden=True),
]


@pytest.fixture
def run(monkeypatch):
    """Run a command made of FIELDS; returns what it received, or the click result if it did not run."""
    monkeypatch.setattr("sleap_nn.config.fields.option_fields", lambda cls: FIELDS)
    received = SimpleNamespace(values=None)

    @click.command(cls=Command, epilog="fake --batch_size 8      bigger\n")
    @options_from(object)
    @click.option("--own", help="An option of the command itself.")
    def command(**values):
        received.values = values

    def call(*args):
        received.values = None
        result = CliRunner().invoke(command, list(args))
        return result if received.values is None else received.values

    return call


def test_what_is_not_given_has_the_default_of_its_field(run):
    assert run() == {entry.name: entry.default for entry in FIELDS} | {"own": None}


@pytest.mark.parametrize(
    ("args", "name", "value"),
    [
        (["--batch_size", "8"], "batch_size", 8),
        (["--batch-size=8"], "batch_size", 8),
        (["-b", "8"], "batch_size", 8),
        (["--peak-conf-threshold", "0.5"], "peak_threshold", 0.5),
        (["--peak_conf_threshold", "0.5"], "peak_threshold", 0.5),
        (["-m", "a", "--model-paths", "b"], "model_paths", ["a", "b"]),
        (["--method", "iou"], "method", "iou"),
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
        (["--batch_size", "0"], "batch_size"),
        (["--peak_threshold", "1.5"], "peak_threshold"),
        (["--method", "cosine"], "'oks', 'iou'"),
        (["--formats", "slp,,h5"], "must be words between commas"),
        (["--formats", "slp,png"], "'png' is not one of slp, h5"),
        (["--batch_sice", "3"], "Did you mean '--batch_size'?"),
    ],
)
def test_wrong_values_are_usage_errors(run, args, message):
    result = run(*args)
    assert result.exit_code == 2
    assert message in result.stderr


def test_what_does_nothing_yet_is_refused(run):
    result = run("--use-flow")
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == "--use_flow is not available yet; leave it out."


def test_help_shows_groups_defaults_and_examples(run):
    text = run("-h").stdout
    assert text.index("Numbers:") < text.index("Image:") < text.index("Options:") < text.index("Examples:")
    assert "--batch_size" in text
    assert "[default: 4" in text
    assert "Not available yet." in text
    assert "queue_maxsize" not in text
    assert text.endswith("Examples:\n  fake --batch_size 8      bigger\n")


def test_spelling_is_left_alone_after_the_end_of_options():
    @click.command(cls=Command)
    @click.option("--data_path")
    @click.argument("rest", nargs=-1)
    def command(data_path, rest):
        click.echo(f"{data_path} {rest}")

    result = CliRunner().invoke(command, ["--data-path", "a", "--", "--data-path", "b"])
    assert result.stdout == "a ('--data-path', 'b')\n"
