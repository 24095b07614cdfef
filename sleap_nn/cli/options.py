"""What the commands share: how options are spelled and shown, and options made from configuration fields.

A setting is declared once, in its configuration class; `options_from` turns that declaration into click
options, so that no command repeats a name, default, range or help text. The configuration is imported on use.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import click
from click.core import ParameterSource

from sleap_nn.errors import UsageError

if TYPE_CHECKING:
    from sleap_nn.config.fields import Option, OptionField

F = TypeVar("F", bound=Callable[..., Any])

HELP_WIDTH = 100


class Command(click.Command):
    """A command whose long options may be written with ``_`` or ``-``; its epilog is a list of examples.

    Help shows the declared spelling, and options made by `options_from` under the headings of their groups.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        defaults = {
            "help_option_names": ["-h", "--help"],
            "show_default": True,
            "max_content_width": HELP_WIDTH,
        }
        self.context_settings = defaults | dict(self.context_settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Bring long options to their declared spelling, then parse."""
        names = [name for param in self.get_params(ctx) for name in (*param.opts, *param.secondary_opts)]
        declared = [name for name in names if name.startswith("--")]
        return super().parse_args(ctx, list(_declared_spelling(args, declared)))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under the headings of their groups, and name those that do nothing yet."""
        shown = [
            (_group(param), record)
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx))
        ]
        headings = ["", *dict.fromkeys(group for group, _ in shown)]
        shown.sort(key=lambda entry: headings.index(entry[0]))
        for heading, entries in groupby(shown, key=lambda entry: entry[0]):
            with formatter.section(heading if heading else "Options"):
                formatter.write_dl([record for _, record in entries])
        missing = [f"--{param.field.long}" for param in self.params if _is_missing(param)]
        if missing:
            with formatter.section("Not available yet"):
                formatter.write_text(", ".join(missing))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples line by line, not as a paragraph."""
        if self.epilog:
            write_examples(self.epilog, formatter)


class Number(click.FloatRange):
    """A finite number within bounds; no bounds keep nan out."""

    name = "float"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Convert a text; nan and infinity are refused."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class ConfigOption(click.Option):
    """An option made from a configuration field.

    Attributes:
        field: What the command line shows of the field.
        declaration: What the field allows.
    """

    def __init__(self, *args: Any, field: "OptionField", declaration: "Option", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.field = field
        self.declaration = declaration

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """Convert and check the value as the field declares it.

        Raises:
            click.BadParameter: If the value is not what the field allows.
            UsageError: If what is asked for does not exist yet.
        """
        value = super().process_value(ctx, value)
        given = self.name is not None and ctx.get_parameter_source(self.name) is not ParameterSource.DEFAULT
        if not given or ctx.resilient_parsing:
            return self.field.default
        if not self.declaration.available:
            raise UsageError(f"--{self.field.long} is not available yet; leave it out.")
        value = self._checked(list(value) if self.field.is_list else value)
        missing = None if value == self.field.default else self.declaration.missing_behaviour(value)
        if missing is not None:
            raise UsageError(f"--{self.field.long}: {missing} is not available yet; choose another value.")
        return value

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Add the bounds of a number to what help says behind the text."""
        extra = super().get_help_extra(ctx)
        bounds = "" if self.field.convert is not None else _bounds(self.declaration)
        return extra | {"range": bounds} if bounds else extra

    def _checked(self, value: Any) -> Any:
        try:
            value = value if self.field.convert is None else self.field.convert(value)
        except ValueError as error:
            raise click.BadParameter(str(error), param=self) from None
        problem = self.declaration.problem(value)
        if problem is not None:
            raise click.BadParameter(f"{problem}.", param=self)
        return value


def options_from(config_class: type) -> Callable[[F], F]:
    """Make the decorator that adds one option for every command-line field of a configuration class.

    The decorated function receives each value under its field's name; what was not given has its default.

    Args:
        config_class: A class whose fields carry `sleap_nn.config.fields.Cli` facts.
    """
    from sleap_nn.config.fields import fields_of, option_fields

    declarations = {entry.name: entry.option for entry in fields_of(config_class)}
    fields = option_fields(config_class)

    def decorate(function: F) -> F:
        for field in reversed(fields):
            function = _option(field, declarations[field.name])(function)
        return function

    return decorate


def write_examples(text: str, formatter: click.HelpFormatter) -> None:
    """Write example lines as they are, indented under a heading."""
    lines = "".join(f"  {line}".rstrip() + "\n" for line in text.splitlines())
    formatter.write(f"\nExamples:\n{lines}")


def _option(field: "OptionField", declaration: "Option") -> Callable[[F], F]:
    return click.option(
        *_names(field),
        field.name,
        cls=ConfigOption,
        field=field,
        declaration=declaration,
        type=None if field.is_flag else _value_type(field),
        is_flag=field.is_flag,
        multiple=field.is_list,
        default=None if field.is_list else field.default,
        show_default=not field.is_flag or field.default is True,
        help=field.help.replace("null:", "without it:"),  # null is a word of YAML
        hidden=field.hidden or not field.available,
        metavar=field.metavar if field.metavar else None,
    )


def _names(field: "OptionField") -> list[str]:
    longs = [field.long, *field.aliases]
    names = [f"--{long}/--no-{long}" if field.is_pair else f"--{long}" for long in longs]
    return [field.short, *names] if field.short else names


def _value_type(field: "OptionField") -> Any:
    """Return the click type; text that the field converts itself stays text."""
    if field.convert is not None:
        return str
    return click.Choice(field.choices) if field.choices else field.type


def _bounds(declaration: "Option") -> str:
    """Return the numbers that are allowed as click writes them, ``x>=1`` or ``0<x<=1``; empty for all."""
    low = declaration.ge if declaration.ge is not None else declaration.gt
    high = declaration.le if declaration.le is not None else declaration.lt
    below = "<" if declaration.ge is None else "<="
    above = "<" if declaration.le is None else "<="
    if high is None:
        return "" if low is None else f"x{below.replace('<', '>')}{low:g}"
    return f"x{above}{high:g}" if low is None else f"{low:g}{below}x{above}{high:g}"


def _group(param: click.Parameter) -> str:
    return param.field.group if isinstance(param, ConfigOption) else ""


def _is_missing(param: click.Parameter) -> TypeGuard[ConfigOption]:
    return isinstance(param, ConfigOption) and not param.declaration.available and not param.field.hidden


def _declared_spelling(args: Sequence[str], declared: Sequence[str]) -> Iterator[str]:
    """Yield the arguments, long options before ``--`` in the spelling in which they were declared."""
    by_dashes = {name.replace("_", "-"): name for name in declared}
    options_ended = False
    for arg in args:
        options_ended = options_ended or arg == "--"
        name, equals, value = arg.partition("=")
        if options_ended or not name.startswith("--"):
            yield arg
        else:
            yield by_dashes.get(name.replace("_", "-"), name) + equals + value
