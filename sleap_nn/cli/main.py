"""The command group: which commands exist, and what happens when one fails.

A command's module is imported when the command is called, so ``sleap-nn --help`` imports neither torch nor
sleap-io. What the commands share (spelling of options, options from the configuration) is in `options.py`.
"""

import difflib
import json
from importlib import import_module
from typing import Any

import click

from sleap_nn.cli.options import write_examples
from sleap_nn.cli.stopping import TerminatedError
from sleap_nn.errors import TrainingInterruptedError, UserError
from sleap_nn.version import __version__

COMMANDS = {
    "train": ("sleap_nn.cli.train:command", "Train a model from labelled frames."),
    "preview": ("sleap_nn.cli.preview:command", "Draw what a network would be trained on, before training."),
    "check": ("sleap_nn.cli.check:command", "List what looks wrong in labels, with video and frame."),
    "predict": (
        "sleap_nn.cli.predict:command",
        "Find animals in a video or a labels file with trained models.",
    ),
    "track": ("sleap_nn.cli.predict:track_command", "The same as predict; only the default output differs."),
    "render": ("sleap_nn.cli.render:command", "Draw predictions on their video, or on a gallery of its frames."),
    "eval": ("sleap_nn.cli.eval:command", "Compare predictions with ground truth."),
    "track-eval": ("sleap_nn.cli.track_eval:command", "Compare tracks with true ones: IDF1, HOTA, MOTA, switches."),
    "report": ("sleap_nn.cli.report:command", "Write the report of a training run as one HTML page."),
    "info": ("sleap_nn.cli.info:command", "Describe a trained model folder or a configuration."),
    "export": ("sleap_nn.cli.export:command", "Write trained models as ONNX files or TensorRT engines."),
    "convert": (
        "sleap_nn.cli.convert:command",
        "Write an older model in the form of this one, or labels in another form.",
    ),
    "config": (
        "sleap_nn.cli.config:command",
        "Make a training configuration for labels; print schema and reference; carry over a profile of SLEAP.",
    ),
    "demo": ("sleap_nn.cli.demo:command", "Train and predict on drawn animals, start to end, in minutes."),
    "system": ("sleap_nn.cli.system:command", "Report versions, devices and whether they compute correctly."),
}
"""Command name -> (module:attribute, one line for the command list)."""

SYNONYMS = {"infer": "predict", "eval-tracking": "track-eval"}
"""Other name of a command -> its name; not in the command list."""

EXAMPLES = """\
sleap-nn demo                                    see the whole path work on this machine
sleap-nn train config.yaml                       train
sleap-nn predict -i clip.mp4 -m models/run       predict
sleap-nn COMMAND --help                          options and examples of a command

Exit codes: 0 success, 1 failure, 2 wrong usage, 3 training ended with a network that finds nothing,
75 training was interrupted and can be resumed.
"""


class LazyGroup(click.Group):
    """A group whose commands are listed by hand and imported on call."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the list."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None if it is not in the list."""
        cmd_name = SYNONYMS.get(cmd_name, cmd_name)
        if cmd_name not in COMMANDS:
            return None
        module_name, attribute = COMMANDS[cmd_name][0].split(":")
        return getattr(import_module(module_name), attribute)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command to run; a name that does not exist is answered with the nearest that does."""
        name = args[0]
        if name not in COMMANDS and name not in SYNONYMS and not name.startswith("-"):
            close = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
            hint = f"Did you mean {close[0]!r}?" if close else f"Commands: {', '.join(COMMANDS)}."
            raise click.UsageError(f"No such command {name!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command list from the summaries, without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples line by line."""
        write_examples(EXAMPLES, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; say in one line what the user can repair, let defects keep their traceback."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"{error}" if isinstance(error, TrainingInterruptedError) else f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except TerminatedError as error:
            click.echo(f"{error}", err=True)
            ctx.exit(TrainingInterruptedError.exit_code)
        except (KeyboardInterrupt, click.Abort):
            click.echo("Aborted.", err=True)
            ctx.exit(UserError.exit_code)


def _print_capabilities(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    """Answer ``--capabilities``."""
    if not is_asked or ctx.resilient_parsing:
        return
    from sleap_nn.cli.capabilities import capabilities

    click.echo(json.dumps(capabilities(cli)))
    ctx.exit()


@click.group(
    cls=LazyGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(__version__, "-v", "--version", message="sleap-nn %(version)s")
@click.option(
    "--capabilities",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_capabilities,
    help="Print what this version can do as one line of JSON, for programs that start it, and exit.",
)
def cli() -> None:
    """Train pose models on labelled frames, and find animals in videos with them."""
