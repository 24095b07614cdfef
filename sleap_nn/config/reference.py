"""Descriptions of all options, made from their declarations: a JSON schema and a reference page."""

from typing import Any

import pydantic
from pydantic.json_schema import GenerateJsonSchema

from sleap_nn.config.fields import Field, fields_of, phrase, plain_text
from sleap_nn.config.training_job_config import TrainingJobConfig

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_HEADINGS = ("key", "type", "default", "allowed", "meaning", "available")


class _UntitledFields(GenerateJsonSchema):
    """A schema without a title for every field, which would only repeat its key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Titles are for sections only."""
        return False


def json_schema() -> dict[str, Any]:
    """Return the JSON schema (2020-12) of a training configuration with its canonical keys."""
    schema = pydantic.TypeAdapter(TrainingJobConfig).json_schema(schema_generator=_UntitledFields)
    return {"$schema": _DIALECT, "title": "sleap-nn training configuration", **schema}


def config_reference_markdown() -> str:
    """Return the reference of all training options: a heading and a table for every section."""
    lines = [
        "# Configuration reference",
        "",
        "Every key of a training configuration, made from its declaration.",
        "",
    ]
    for title, cls, available in _sections(TrainingJobConfig, "", True):
        lines += [f"## {title if title else 'Top level'}", "", _first_paragraph(cls), ""]
        lines += [_row(_HEADINGS), _row(["---"] * len(_HEADINGS))]
        lines += [_row(_cells(entry, available)) for entry in fields_of(cls)]
        lines.append("")
    return "\n".join(lines)


def _sections(cls: type, path: str, available: bool) -> list[tuple[str, type, bool]]:
    """Return (path, class, whether it is available) of a section and all below it."""
    nested = [
        section
        for entry in fields_of(cls)
        if entry.section is not None
        for section in _sections(
            entry.section,
            f"{path}.{entry.name}" if path else entry.name,
            available and entry.option.available,
        )
    ]
    return [(path, cls, available), *nested]


def _first_paragraph(cls: type) -> str:
    return " ".join((cls.__doc__ if cls.__doc__ is not None else "").partition("\n\n")[0].split())


def _cells(entry: Field, available: bool) -> list[str]:
    return [
        f"`{entry.name}`",
        phrase(entry.type),
        _default(entry),
        _allowed(entry),
        entry.option.help,
        entry.option.availability() if available else "not yet",
    ]


def _default(entry: Field) -> str:
    if entry.section is not None and entry.default is not None:
        return "its section's defaults"
    return f"`{plain_text(entry.default)}`" if entry.default != "" else "empty"


def _allowed(entry: Field) -> str:
    option = entry.option
    bounds = [("≥", option.ge), (">", option.gt), ("≤", option.le), ("<", option.lt)]
    parts = [f"{sign} {bound:g}" for sign, bound in bounds if bound is not None]
    return ", ".join([*parts, *(f"`{choice}`" for choice in option.choices)])


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
