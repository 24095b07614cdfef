from pathlib import Path
from typing import Any

import pytest

from sleap_nn.config.fields import fields_of, option_fields
from sleap_nn.config.render_config import RenderConfig
from sleap_nn.errors import ConfigError


def test_every_field_is_an_option_of_the_command():
    assert {field.name for field in option_fields(RenderConfig)} == {field.name for field in fields_of(RenderConfig)}
    longs = [name for field in option_fields(RenderConfig) for name in (field.long, *field.aliases)]
    assert len(longs) == len(set(longs))
    assert {"colour_by", "color_by", "trail", "labels", "scores", "scale", "fps", "frames", "video_index"} <= {*longs}


def test_values_are_converted():
    config = RenderConfig(output_path=Path("a.MP4"), gallery="b.jpeg", frames="3,0-1")  # type: ignore[arg-type]
    assert (config.output_path, config.gallery, config.frames) == ("a.MP4", "b.jpeg", [0, 1, 3])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"output_path": "labels.slp"}, "output_path must end in .mp4"),
        ({"gallery": "a.mp4"}, "gallery must end in .png or .jpg"),
        ({"fps": 0}, r"fps must be at least 0\.001"),
        ({"fps": 0.0004}, r"fps must be at least 0\.001"),
        ({"scale": 17}, "scale must be at most 16"),
        ({"quality": 52}, "quality must be at most 51"),
        ({"trail": -1}, "trail must be at least 0"),
        ({"colour_by": "animal"}, "colour_by must be one of track, instance, node"),
        ({"gallery_by": "best"}, "gallery_by must be one of spread, lowest_score"),
        ({"gallery_frames": 0}, "gallery_frames must be at least 1"),
    ],
)
def test_refused_values(values: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        RenderConfig(**values)
