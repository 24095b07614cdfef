"""Raw results as the dictionaries of earlier releases: what `Outputs` hold, frame by frame, under other names.

b frames of the batch, k instances of one frame, N nodes. Models of crops give a dictionary a frame in which anything
was found, all others one a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sleap_nn.inference.outputs import Outputs
from sleap_nn.inference.raw_outputs import OutputForm
from sleap_nn.stages.raw import EARLIER_CONFMAPS
from sleap_nn.structures.predictions import Predictions, Raw

KEEP = frozenset({"image", "crops"})
"""What stages must keep for these dictionaries, besides what the user asks for."""
SHORT_NAMES = {"peaks": "pred_instance_peaks", "confmaps": "pred_confmaps"}
"""Second names, under which scripts read some entries."""
_GRAPH = {
    "peaks": "graph_peaks",
    "peak_vals": "graph_peak_scores",
    "peak_channel_inds": "graph_nodes",
    "edge_inds": "graph_edges",
    "line_scores": "graph_scores",
}


def raw_dicts(batch: Sequence[Predictions], form: OutputForm, keep: frozenset[str]) -> Iterator[dict[str, np.ndarray]]:
    """Yield the results of a batch.

    Args:
        batch: The frames, with `Predictions.raw`.
        form: How `Outputs` of the model are laid out.
        keep: What was asked for.
    """
    if form.task.view == "crop":
        for found in batch:
            if len(found):
                yield _with_short_names(_of_crops(found, form, keep))
        return
    by_size: dict[tuple[int, ...], list[Predictions]] = {}
    for found in batch:  # images of one size make one array
        by_size.setdefault(_raw(found).maps["image"].shape, []).append(found)
    for frames in by_size.values():
        yield _with_short_names(_of_frames(frames, form, keep))


def _of_frames(batch: Sequence[Predictions], form: OutputForm, keep: frozenset[str]) -> dict[str, Any]:
    """Return the results of a model of whole frames."""
    outputs = form.outputs(batch, keep)
    maps = [_raw(found).maps for found in batch]
    fields = outputs.numpy()
    values: dict[str, Any] = {
        "image": np.stack([own["image"] for own in maps])[:, None],
        "frame_idx": fields["frame_indices"].astype(np.int32),
        "video_idx": fields["video_indices"].astype(np.int32),
        "orig_size": np.stack([own["frame_size"] for own in maps])[:, None],
        "eff_scale": np.array([own["transform"][0, 0] / form.spec.scale for own in maps], np.float32),
        **_points(batch, form, fields),
    }
    if outputs.pred_confmaps is not None:
        name = "pred_centroid_confmaps" if form.task.one_point else "pred_confmaps"
        values[name] = fields["pred_confmaps"]
    if outputs.pred_pafs is not None:
        values["pred_part_affinity_fields"] = np.moveaxis(fields["pred_pafs"], 1, -1)
    if outputs.pred_class_maps is not None:
        values["pred_class_maps"] = fields["pred_class_maps"]
    if "paf_graph" in keep and all("graph_peaks" in own for own in maps):
        values |= {name: [own[key] for own in maps] for name, key in _GRAPH.items()}
        ends = [np.stack([own["graph_sources"], own["graph_destinations"]], axis=1) for own in maps]
        values["edge_peak_inds"] = ends
    return values


def _points(batch: Sequence[Predictions], form: OutputForm, fields: dict[str, Any]) -> dict[str, Any]:
    """Return points and scores: arrays where every frame has as many, else a list with an entry a frame."""
    if form.task.one_point:
        return {"pred_centroids": fields["pred_centroids"], "centroid_val": fields["pred_centroid_values"]}
    if form.task.max_labelled == 1:
        return {
            "pred_instance_peaks": fields["pred_keypoints"][:, 0],
            "pred_peak_values": fields["pred_peak_values"][:, 0],
        }
    if form.task.classes:
        probabilities = fields["instance_tracking_scores"][..., None]
        return {
            "pred_instance_peaks": list(fields["pred_keypoints"]),
            "pred_peak_values": fields["pred_peak_values"],
            "instance_scores": np.broadcast_to(probabilities, fields["pred_peak_values"].shape).copy(),
        }
    return {
        "pred_instance_peaks": [found.points for found in batch],
        "pred_peak_values": [found.point_scores for found in batch],
        "instance_scores": [found.scores for found in batch],
    }


def _of_crops(found: Predictions, form: OutputForm, keep: frozenset[str]) -> dict[str, Any]:
    """Return the results of a model of crops on one frame; points are relative to the crop's corner, in frame px."""
    outputs, raw = form.outputs([found], keep), _raw(found)
    count, own = len(found), raw.of_instances
    fields = {name: value[0] for name, value in _arrays(outputs).items()}
    boxes, transforms = fields["instance_bboxes"][:count], own["crop_transforms"]
    anchors, scale = own["anchors"], np.float32(raw.maps["transform"][0, 0])
    in_crops = np.einsum("iab,ib->ia", transforms[:, :, :2], anchors) + transforms[:, :, 2]
    values = {
        "image": np.repeat(raw.maps["image"][None], count, axis=0),
        "frame_idx": np.full(count, found.key.frame, np.float32),
        "video_idx": np.full(count, found.key.video, np.float32),
        "orig_size": np.repeat(raw.maps["frame_size"][None], count, axis=0),
        "eff_scale": np.full(count, scale),
        "pred_instance_peaks": found.points - boxes[:, :1].astype(np.float32),
        "pred_peak_values": found.point_scores,
        "centroid": in_crops.astype(np.float32),
        "pred_centroids": anchors * scale,
        "centroid_val": own["anchor_scores"],
        "instance_bbox": boxes[:, None].astype(np.float32),
        "instance_image": own["crops"][:, None],
    }
    if found.class_ids is not None and found.class_scores is not None:
        values |= {"pred_class_inds": found.class_ids, "instance_scores": found.class_scores}
    if "confmaps" in keep and "confmaps" in own:
        values["pred_confmaps"] = own["confmaps"]
    if EARLIER_CONFMAPS in raw.maps:
        values["pred_centroid_confmaps"] = np.repeat(raw.maps[EARLIER_CONFMAPS][None], count, axis=0)
    if "class_vectors" in keep and "class_vectors" in own:
        values["pred_class_vectors"] = own["class_vectors"]
    return values


def _arrays(outputs: Outputs) -> dict[str, np.ndarray]:
    """Return the fields of results that are arrays."""
    return {name: value for name, value in outputs.numpy().items() if isinstance(value, np.ndarray)}


def _raw(found: Predictions) -> Raw:
    """Return what was kept of a frame."""
    return Raw() if found.raw is None else found.raw


def _with_short_names(values: dict[str, Any]) -> dict[str, Any]:
    """Return entries under their second names too."""
    return {**{short: values[name] for short, name in SHORT_NAMES.items() if name in values}, **values}
