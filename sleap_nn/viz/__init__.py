"""Pictures of poses and maps: pure drawing on NumPy images with OpenCV, and files of the results.

Every drawing function takes uint8 images, gray (height, width[, 1]) or RGB (height, width, 3), and returns a new RGB
uint8 image. Points are (x, y) in pixels of the image given; an integer is a pixel centre.
Nothing here knows labels, models or settings.
`Overlay` draws frames of a video with everything on them; `write_overlay_video` encodes what is drawn.
"""

from sleap_nn.viz.images import (
    PALETTE,
    Color,
    color_at,
    contact_sheet,
    downscale,
    fitted,
    jpeg_bytes,
    resize,
    save_image,
    save_png,
    to_rgb,
    upscale,
    write_lines,
)
from sleap_nn.viz.maps import draw_class_maps, draw_confidence_maps, draw_fields
from sleap_nn.viz.overlay import Overlay, OverlayStyle
from sleap_nn.viz.poses import FILLED, HOLLOW, DrawStyle, draw_comparison, draw_instances
from sleap_nn.viz.trails import Trails, draw_trails
from sleap_nn.viz.video import write_overlay_video

__all__ = [
    "FILLED",
    "HOLLOW",
    "PALETTE",
    "Color",
    "DrawStyle",
    "Overlay",
    "OverlayStyle",
    "Trails",
    "color_at",
    "contact_sheet",
    "downscale",
    "draw_class_maps",
    "draw_comparison",
    "draw_confidence_maps",
    "draw_fields",
    "draw_instances",
    "draw_trails",
    "fitted",
    "jpeg_bytes",
    "resize",
    "save_image",
    "save_png",
    "to_rgb",
    "upscale",
    "write_lines",
    "write_overlay_video",
]
