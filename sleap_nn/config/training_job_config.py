"""The configuration of a training run: data, model and trainer together; reading, checking and saving it.

What may be set is declared in `data_config`, `model_config` and `trainer_config`; what the trainer fills in
is not computed here but in `training.resolve`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, get_origin

from omegaconf import DictConfig, OmegaConf

from sleap_nn.compat.config_keys import canonical_path
from sleap_nn.compat.sleap_json import Note, is_profile
from sleap_nn.config.availability import check_available
from sleap_nn.config.data_config import DataConfig
from sleap_nn.config.errors import unknown_key
from sleap_nn.config.fields import Option, fields_of, find_field, type_members, values_of
from sleap_nn.config.loading import canonical_tree, json_tree, plain_tree, read_file, resolved, with_defaults
from sleap_nn.config.model_config import BackboneConfig, HeadConfig, ModelConfig
from sleap_nn.config.oneof import check_one
from sleap_nn.config.overrides import Override, apply_overrides, split_override
from sleap_nn.config.schema import config_class
from sleap_nn.config.sleap_profiles import translated
from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.errors import ConfigError, OutputError
from sleap_nn.version import __version__
from sleap_nn.whole_files import whole_file


@config_class
class TrainingJobConfig:
    """Everything that a user may set about a training run."""

    data_config: Annotated[DataConfig, Option("Labels, preprocessing and augmentation.")] = field(
        default_factory=DataConfig
    )
    model_config: Annotated[ModelConfig, Option("Backbone and model type.")] = field(default_factory=ModelConfig)
    trainer_config: Annotated[TrainerConfig, Option("Devices, length, optimisation and files.")] = field(
        default_factory=TrainerConfig
    )
    name: Annotated[str, Option("Free name of the configuration.")] = ""
    description: Annotated[str, Option("Free description of the configuration.")] = ""
    sleap_nn_version: Annotated[str, Option("Version of sleap-nn that wrote the file; filled in.")] = __version__
    filename: Annotated[str, Option("Path from which the configuration was read; not used.")] = ""

    @classmethod
    def load(
        cls, path: str | Path, overrides: Iterable[str] = (), *, require_available: bool = True
    ) -> "TrainingJobConfig":
        """Read a YAML file.

        Args:
            path: The file; its ``defaults:`` list is composed and its ``${...}`` references are resolved.
            overrides: ``key=value``, ``+key=value``, ``++key=value`` or ``~key``, applied in this order.
            require_available: False: options whose behaviour does not exist yet may be set, as in files that
                are read for something else than training.

        Raises:
            MissingFileError: There is no such file.
            ConfigError: A key is unknown, a value is wrong, there is not exactly one backbone and one model
                type, or an option is not available yet.
        """
        path = Path(path)
        tree, remaining = read_file(path, [split_override(token) for token in overrides])
        if is_profile(tree):
            tree = {"sleap_nn_version": "", **translated(tree, path).tree}  # no version of sleap-nn wrote it
        remaining = _known(remaining)
        tree = apply_overrides(canonical_tree(tree, remaining), remaining, _holds_text)
        if tree.get("model_config") is None:
            raise ConfigError(
                f"No model config found! {str(path)!r} needs a model_config section (see sleap-nn train -h)."
            )
        return _built(tree, require_available)

    @classmethod
    def from_cfg(cls, cfg: Any, *, require_available: bool = True) -> "TrainingJobConfig":
        """Make a checked configuration of anything that describes one.

        Args:
            cfg: DictConfig, dict, TrainingJobConfig, or path of a YAML file; it is not changed.
            require_available: As in `load`.

        Raises:
            MissingFileError: As in `load`.
            ConfigError: As in `load`.
        """
        if isinstance(cfg, str | Path):
            return cls.load(cfg, require_available=require_available)
        return _built(canonical_tree(plain_tree(cfg)), require_available)

    @classmethod
    def load_sleap_config(cls, json_file_path: str | Path) -> DictConfig:
        """Return the typed configuration for a training profile of SLEAP up to 1.4.

        Args:
            json_file_path: The profile, ``training_config.json`` or ``initial_config.json``.

        Raises:
            MissingFileError: There is no such file.
            ConfigError: It is no profile, or needs something that does not exist here.
        """
        return read_profile(json_file_path)[0].to_sleap_nn_cfg()

    @classmethod
    def load_sleap_config_from_json(cls, json_str: str | Mapping[str, Any]) -> DictConfig:
        """Return the typed configuration for a profile of SLEAP up to 1.4, given as text or parsed.

        Raises:
            ConfigError: As in `load_sleap_config`.
        """
        profile = json_tree(json_str, "The given text") if isinstance(json_str, str) else json_str
        return _built(canonical_tree(translated(profile).tree), False).to_sleap_nn_cfg()

    def save(self, path: str | Path) -> None:
        """Write the configuration as YAML that `load` reads back to an equal one.

        The login key of Weights & Biases is blanked, the running version is stamped, and keys that other
        readers of these files refuse are written only where they are not at their default. Folders are
        created.

        Raises:
            OutputError: The file cannot be written.
        """
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with whole_file(Path(path)) as partial:
                partial.write_text(self.to_yaml(), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"The configuration cannot be written to {str(path)!r}: {error}.") from None

    def to_yaml(self) -> str:
        """Return the text that `save` writes."""
        return OmegaConf.to_yaml(OmegaConf.create(self.public_tree()))

    def public_tree(self) -> dict[str, Any]:
        """Return the nested values that `save` writes: without secrets, stamped with the running version."""
        tree = _portable(self)
        tree["sleap_nn_version"] = __version__
        if self.trainer_config.wandb.api_key is not None:
            tree["trainer_config"]["wandb"]["api_key"] = ""
        return tree

    def to_sleap_nn_cfg(self) -> DictConfig:
        """Return the configuration as a typed OmegaConf object."""
        return OmegaConf.structured(self)


def read_profile(path: str | Path) -> tuple[TrainingJobConfig, tuple[Note, ...]]:
    """Return the configuration for a profile of SLEAP up to 1.4, and what became of its keys.

    Raises:
        MissingFileError: There is no such file.
        ConfigError: It is no profile, or needs something that does not exist here.
    """
    tree, _ = read_file(Path(path), [])
    result = translated(tree, Path(path))
    return _built(canonical_tree(result.tree), False), result.notes


def verify_training_cfg(cfg: Any) -> DictConfig:
    """Return a new, complete and typed OmegaConf object of a configuration.

    Args:
        cfg: What `TrainingJobConfig.from_cfg` accepts.

    Raises:
        ConfigError: As in `TrainingJobConfig.load`.
    """
    return TrainingJobConfig.from_cfg(cfg).to_sleap_nn_cfg()


def check_must_be_set(config: Any) -> None:
    """Check that a configuration has exactly one backbone and exactly one model type.

    Args:
        config: DictConfig, dict or TrainingJobConfig.

    Raises:
        ConfigError: "At least one attribute ..." or "Only one attribute ...".
    """
    model = plain_tree(config).get("model_config")
    for name, cls in (("backbone_config", BackboneConfig), ("head_configs", HeadConfig)):
        known = {entry.name: None for entry in fields_of(cls)}
        section = model.get(name) if isinstance(model, dict) else None
        check_one(known | (section if isinstance(section, dict) else {}), f"model_config.{name}")


def _built(tree: dict[str, Any], require_available: bool) -> TrainingJobConfig:
    config = TrainingJobConfig(**_text_keys(resolved(with_defaults(TrainingJobConfig(), tree))))
    check_must_be_set(config)
    if require_available:
        check_available(config)
    return config


def _known(overrides: Iterable[Override]) -> list[Override]:
    """Return the overrides if their keys are known; deleting an unknown key would otherwise do nothing."""
    checked = list(overrides)
    for override in checked:
        for path in canonical_path(override.key):
            if find_field(TrainingJobConfig, path) is None and not _inside_mapping(path):
                raise unknown_key(TrainingJobConfig, path)
    return checked


def _inside_mapping(path: str) -> bool:
    """Whether a path leads into a value that is a free mapping."""
    parent = path.rpartition(".")[0]
    if not parent:
        return False
    entry = find_field(TrainingJobConfig, parent)
    if entry is None:
        return _inside_mapping(parent)
    return any(get_origin(member) is dict for member in type_members(entry.type))


def _holds_text(path: str) -> bool:
    entry = find_field(TrainingJobConfig, path)
    return entry is not None and set(type_members(entry.type)) <= {str, type(None)}


def _text_keys(tree: dict[str, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in tree.items()}


def _portable(section: Any) -> dict[str, Any]:
    """Return the nested values of a configuration object without extensions at their default."""
    values, tree = values_of(section), {}
    for entry in fields_of(type(section)):
        value = values[entry.name]
        if entry.option.extension and value == entry.default:
            continue
        is_section = entry.section is not None and value is not None
        tree[entry.name] = _portable(value) if is_section else value
    return tree
