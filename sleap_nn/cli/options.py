"""What the commands share: how options are spelled and shown, and options made from configuration fields.

A setting is declared once, in its configuration class; `options_from` turns that declaration into click
options, so that no command repeats a name, default, range or help text. The configuration is imported on use.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from sleap_nn.errors import ConfigError

if TYPE_CHECKING:
    from sleap_nn.config.fields import OptionField

F = TypeVar("F", bound=Callable[..., Any])


class Command(click.Command):
    """A command whose long options may be written with ``_`` or ``-``; its epilog is a list of examples.

    Help shows the declared spelling, and options made by `options_from` under the headings of their groups.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])
        self.context_settings.setdefault("show_default", True)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Bring long options to their declared spelling, then parse."""
        declared = [
            name
            for param in self.get_params(ctx)
            for name in (*param.opts, *param.secondary_opts)
            if name[:2] == "--"
        ]
        return super().parse_args(ctx, list(_declared_spelling(args, declared)))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under the headings of their groups, ungrouped ones last."""
        shown = [
            (_group(param), record)
            for param in self.get_params(ctx)
            if (record := param.get_help_record(ctx))
        ]
        headings = [*dict.fromkeys(group for group, _ in shown if group), ""]
        shown.sort(key=lambda entry: headings.index(entry[0]))
        for heading, entries in groupby(shown, key=lambda entry: entry[0]):
            with formatter.section(heading if heading else "Options"):
                formatter.write_dl([record for _, record in entries])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples line by line, not as a paragraph."""
        if self.epilog:
            write_examples(self.epilog, formatter)


class ConfigOption(click.Option):
    """An option made from a configuration field."""

    def __init__(self, *args: Any, field: "OptionField", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.field = field

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """Convert and check the value as the field declares it.

        Raises:
            click.BadParameter: If the text is not what the field allows.
            ConfigError: If the option is given but does nothing yet.
        """
        value = super().process_value(ctx, value)
        given = self.name is not None and ctx.get_parameter_source(self.name) is not ParameterSource.DEFAULT
        if not given or ctx.resilient_parsing:
            return self.field.default
        if not self.field.available:
            raise ConfigError(f"--{self.field.long} is not available yet; leave it out.")
        return self._converted(list(value) if self.field.is_list else value)

    def _converted(self, value: Any) -> Any:
        if self.field.convert is None:
            return value
        try:
            value = self.field.convert(value)
        except ValueError as error:
            raise click.BadParameter(str(error), param=self) from None
        wrong = [item for item in _items(value) if self.field.choices and item not in self.field.choices]
        if wrong:
            raise click.BadParameter(
                f"{wrong[0]!r} is not one of {', '.join(self.field.choices)}.", param=self
            )
        return value


def options_from(config_class: type) -> Callable[[F], F]:
    """Make the decorator that adds one option for every command-line field of a configuration class.

    The decorated function receives each value under its field's name; what was not given has its default.

    Args:
        config_class: A class whose fields carry `sleap_nn.config.fields.Cli` facts.
    """
    from sleap_nn.config.fields import option_fields

    fields = option_fields(config_class)

    def decorate(function: F) -> F:
        for field in reversed(fields):
            function = _option(field)(function)
        return function

    return decorate


def write_examples(text: str, formatter: click.HelpFormatter) -> None:
    """Write example lines as they are, indented under a heading."""
    lines = "".join(f"  {line}".rstrip() + "\n" for line in text.splitlines())
    formatter.write(f"\nExamples:\n{lines}")


def _option(field: "OptionField") -> Callable[[F], F]:
    help_text = field.help if field.available else f"{field.help} Not available yet."
    return click.option(
        *_names(field),
        field.name,
        cls=ConfigOption,
        field=field,
        type=None if field.is_flag else _value_type(field),
        is_flag=field.is_flag,
        multiple=field.is_list,
        default=None if field.is_list else field.default,
        help=help_text,
        hidden=field.hidden,
        metavar=field.metavar if field.metavar else None,
        expose_value=True,
    )


def _names(field: "OptionField") -> list[str]:
    longs = [field.long, *field.aliases]
    names = [f"--{long}/--no-{long}" if field.is_pair else f"--{long}" for long in longs]
    return [field.short, *names] if field.short else names


def _value_type(field: "OptionField") -> Any:
    """Return the click type: what `convert` reads is text; everything else is checked by click."""
    if field.convert is not None:
        return str
    if field.choices:
        return click.Choice(field.choices)
    bounds = (field.minimum, field.maximum)
    if field.type is float:
        return click.FloatRange(*bounds)
    if field.type is int:
        return click.IntRange(*(None if bound is None else int(bound) for bound in bounds))
    return field.type


def _group(param: click.Parameter) -> str:
    return param.field.group if isinstance(param, ConfigOption) else ""


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


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
