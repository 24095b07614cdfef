"""Options of the model types and of their output maps.

The one entry of `HeadConfig` that is not null is the model type. What maps mean is in `heads` and `tasks`.
"""

from dataclasses import field
from typing import Annotated, Any

from sleap_nn.compat.config_keys import centroid_source_name
from sleap_nn.config.checks import power_of_two
from sleap_nn.config.fields import Option
from sleap_nn.config.limits import MOST_FILTERS, MOST_LAYERS, MOST_PX
from sleap_nn.config.oneof import OneOf
from sleap_nn.config.schema import config_class

PartNames = Annotated[
    list[str] | None,
    Option("Node names in skeleton order; filled in from the labels, another list is an error."),
]
AnchorPart = Annotated[
    str | None,
    Option("Node that centres a crop; null, or where it is missing: the mean of the visible nodes."),
]
Sigma = Annotated[
    float,
    Option("Spread of a peak in cells of the output map; in input px it is sigma x output_stride.", gt=0, le=MOST_PX),
]
HeadStride = Annotated[int, Option("Input px per cell of the output map, a power of two.", check=power_of_two)]
LossWeight = Annotated[float | None, Option("Weight of this map in the total loss; null: 1.", ge=0)]
ForegroundStride = Annotated[int, Option("Input px per cell of the mask, a power of two.", check=power_of_two)]


@config_class
class SingleInstanceConfMapsConfig:
    """Confidence maps of all nodes, for one animal in the whole frame."""

    part_names: PartNames = None
    sigma: Sigma = 5.0
    output_stride: HeadStride = 1


@config_class
class CentroidConfMapsConfig:
    """One confidence map of the centres of all animals."""

    anchor_part: AnchorPart = None
    centroid_source: Annotated[
        str | None,
        Option(
            "Train on the centroids stored in the labels (user) or on computed ones; null: stored ones if "
            "there are any.",
            choices=("user", "computed"),
            convert=centroid_source_name,
        ),
    ] = None
    sigma: Sigma = 5.0
    output_stride: HeadStride = 1
    centroid_method: Annotated[
        str | None,
        Option("How a centroid is computed; null: from anchor_part.", available=False, extension=True),
    ] = None
    centroid_fallback: Annotated[
        str | None,
        Option("What is used where anchor_part is missing; null: the mean.", available=False, extension=True),
    ] = None
    use_sigmoid_activation: Annotated[
        bool, Option("Squeeze the map into 0 to 1 by a sigmoid.", available=False, extension=True)
    ] = False
    focal_loss_alpha: Annotated[
        float,
        Option("Focal loss: power on hard cells; 0: mean squared error.", ge=0, available=False, extension=True),
    ] = 0.0
    focal_loss_beta: Annotated[
        float,
        Option("Focal loss: power that spares cells near a peak.", ge=0, available=False, extension=True),
    ] = 4.0
    pos_threshold: Annotated[
        float,
        Option(
            "Focal loss: target value from which a cell counts as a peak.",
            ge=0,
            le=1,
            available=False,
            extension=True,
        ),
    ] = 0.5


@config_class
class CenteredInstanceConfMapsConfig:
    """Confidence maps of all nodes of the animal in the middle of a crop."""

    part_names: PartNames = None
    anchor_part: AnchorPart = None
    sigma: Sigma = 5.0
    output_stride: HeadStride = 1
    loss_weight: LossWeight = 1.0


@config_class
class BottomUpConfMapsConfig:
    """Confidence maps of all nodes of all animals in the frame."""

    part_names: PartNames = None
    sigma: Sigma = 5.0
    output_stride: HeadStride = 1
    loss_weight: LossWeight = None


@config_class
class PAFConfig:
    """Part affinity fields: vectors that point along every edge of the skeleton."""

    edges: Annotated[
        list[list[str]] | None,
        Option("Edges as pairs of node names (from, to); filled in from the labels."),
    ] = None
    sigma: Annotated[float, Option("Half width of the field about an edge, in input px.", gt=0, le=MOST_PX)] = 15.0
    output_stride: HeadStride = 1
    loss_weight: LossWeight = None


@config_class
class ClassMapConfig:
    """One map per class (identity), high where that animal is."""

    classes: Annotated[
        list[str] | None, Option("Class names; filled in with the track names of the training labels.")
    ] = None
    sigma: Sigma = 5.0
    output_stride: HeadStride = 1
    loss_weight: LossWeight = None


@config_class
class ClassVectorsConfig:
    """One vector of class probabilities per crop, computed from the bottleneck."""

    classes: Annotated[
        list[str] | None, Option("Class names; filled in with the track names of the training labels.")
    ] = None
    num_fc_layers: Annotated[int, Option("Fully connected layers before the class scores.", ge=0, le=MOST_LAYERS)] = 1
    num_fc_units: Annotated[int, Option("Units in every fully connected layer.", gt=0, le=MOST_FILTERS)] = 64
    global_pool: Annotated[bool, Option("Reduce the bottleneck to one value per channel first.")] = True
    output_stride: Annotated[int, Option("Filled in with max_stride of the backbone.", check=power_of_two)] = 1
    loss_weight: LossWeight = 1.0


@config_class
class SegmentationHeadConfig:
    """A mask of the foreground."""

    output_stride: ForegroundStride = 2
    loss_weight: LossWeight = 1.0
    bce_weight: Annotated[float, Option("Weight of the cross-entropy of the mask.", ge=0)] = 0.5
    dice_weight: Annotated[float, Option("Weight of the Dice loss of the mask.", ge=0)] = 0.5
    bce_pos_weight: Annotated[
        float | None, Option("Weight of foreground cells in the cross-entropy; null: 1.", gt=0)
    ] = None
    target_maxpool: Annotated[
        bool, Option("A cell is foreground if any of its pixels is; false: if its sampled pixel is.")
    ] = False


@config_class
class InstanceCenterConfig:
    """A map with a peak at the centre of every mask."""

    sigma: Sigma = 4.0
    output_stride: HeadStride = 2
    loss_weight: LossWeight = 1.0


@config_class
class CenterOffsetConfig:
    """For every foreground cell, the vector to the centre of its animal."""

    output_stride: HeadStride = 2
    loss_weight: LossWeight = 0.1


@config_class
class CenteredInstanceSegmentationHeadConfig:
    """A mask of the animal in the middle of a crop."""

    output_stride: ForegroundStride = 2
    loss_weight: LossWeight = 1.0
    anchor_part: AnchorPart = None


NodeMaps = Annotated[SingleInstanceConfMapsConfig, Option("Confidence maps of the nodes.")]
CropMaps = Annotated[CenteredInstanceConfMapsConfig, Option("Confidence maps of the nodes in a crop.")]
GroupMaps = Annotated[BottomUpConfMapsConfig, Option("Confidence maps of the nodes of all animals.")]
Mask = Annotated[SegmentationHeadConfig, Option("Mask of the foreground.")]


@config_class
class SingleInstanceConfig:
    """One animal in every frame."""

    confmaps: NodeMaps = field(default_factory=SingleInstanceConfMapsConfig)


@config_class
class CentroidConfig:
    """The centres of all animals: first stage of a top-down pair."""

    confmaps: Annotated[CentroidConfMapsConfig, Option("Confidence map of the centres.")] = field(
        default_factory=CentroidConfMapsConfig
    )


@config_class
class CenteredInstanceConfig:
    """The nodes of the animal in a crop: second stage of a top-down pair."""

    confmaps: CropMaps = field(default_factory=CenteredInstanceConfMapsConfig)


@config_class
class BottomUpConfig:
    """All nodes of all animals, grouped along part affinity fields."""

    confmaps: GroupMaps = field(default_factory=BottomUpConfMapsConfig)
    pafs: Annotated[PAFConfig, Option("Part affinity fields.")] = field(default_factory=PAFConfig)


@config_class
class BottomUpMultiClassConfig:
    """All nodes of all animals, grouped by class maps."""

    confmaps: GroupMaps = field(default_factory=BottomUpConfMapsConfig)
    class_maps: Annotated[ClassMapConfig, Option("Class maps.")] = field(default_factory=ClassMapConfig)


@config_class
class TopDownCenteredInstanceMultiClassConfig:
    """The nodes and the class of the animal in a crop: second stage of a top-down pair."""

    confmaps: CropMaps = field(default_factory=CenteredInstanceConfMapsConfig)
    class_vectors: Annotated[ClassVectorsConfig, Option("Class vectors.")] = field(default_factory=ClassVectorsConfig)


@config_class
class BottomUpSegmentationConfig:
    """Masks of all animals, separated by centres and offsets."""

    segmentation: Mask = field(default_factory=SegmentationHeadConfig)
    center: Annotated[InstanceCenterConfig, Option("Map of the centres.")] = field(default_factory=InstanceCenterConfig)
    offsets: Annotated[CenterOffsetConfig, Option("Vectors to the centres.")] = field(
        default_factory=CenterOffsetConfig
    )


@config_class
class CenteredInstanceSegmentationConfig:
    """The mask of the animal in a crop."""

    segmentation: Annotated[CenteredInstanceSegmentationHeadConfig, Option("Mask of the animal.")] = field(
        default_factory=CenteredInstanceSegmentationHeadConfig
    )


@config_class
class SemanticSegmentationConfig:
    """One mask of the foreground, without separating animals."""

    segmentation: Mask = field(default_factory=SegmentationHeadConfig)


@config_class
class HeadConfig(OneOf):
    """The model type: exactly one entry is not null."""

    single_instance: Annotated[
        SingleInstanceConfig | None, Option("One animal in every frame; null: another model type.")
    ] = None
    centroid: Annotated[
        CentroidConfig | None,
        Option("Centres of all animals; null: another model type."),
    ] = None
    centered_instance: Annotated[
        CenteredInstanceConfig | None,
        Option("Nodes of the animal in a crop; null: another model type."),
    ] = None
    bottomup: Annotated[
        BottomUpConfig | None,
        Option("All animals, grouped along edges; null: another model type."),
    ] = None
    multi_class_bottomup: Annotated[
        BottomUpMultiClassConfig | None,
        Option("All animals, grouped by identity; null: another model type."),
    ] = None
    multi_class_topdown: Annotated[
        TopDownCenteredInstanceMultiClassConfig | None,
        Option("Nodes and identity of the animal in a crop; null: another model type."),
    ] = None
    bottomup_segmentation: Annotated[
        BottomUpSegmentationConfig | None,
        Option("Masks of all animals; null: another model type.", available=False),
    ] = None
    centered_instance_segmentation: Annotated[
        CenteredInstanceSegmentationConfig | None,
        Option("Mask of the animal in a crop; null: another model type.", available=False),
    ] = None
    semantic_segmentation: Annotated[
        SemanticSegmentationConfig | None,
        Option("One mask of the foreground; null: another model type.", available=False),
    ] = None
    embedding: Annotated[
        dict[str, Any] | None,
        Option("Appearance vectors of animals; null: another model type.", available=False, extension=True),
    ] = None
    bbox_centernet: Annotated[
        dict[str, Any] | None,
        Option("Boxes found at their centres; null: another model type.", available=False, extension=True),
    ] = None
    bbox_ssd: Annotated[
        dict[str, Any] | None,
        Option("Boxes found from anchor boxes; null: another model type.", available=False, extension=True),
    ] = None

    @property
    def uses_stored_centroids(self) -> bool:
        """Whether centroids that a user stored in a frame of the labels are learned in place of computed ones."""
        return self.centroid is not None and self.centroid.confmaps.centroid_source != "computed"
