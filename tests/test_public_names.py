"""Every documented Python name exists at its documented path, with its documented parameters and defaults.

What the names do is tested beside their modules; this table says that a script written for them runs.
"""

import dataclasses
import inspect
from importlib import import_module
from typing import Any, Unpack, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

SIGNATURES = """
sleap_nn:load_models(model_paths, **kwargs)
sleap_nn:load_metrics(path, split="test", dataset_idx=0)
sleap_nn:redirect_logs_to_stderr()

sleap_nn.train:run_training(config, train_labels=None, val_labels=None)
sleap_nn.training.model_trainer:ModelTrainer.get_model_trainer_from_config(config, train_labels=None, val_labels=None)
sleap_nn.training.model_trainer:ModelTrainer.train(self)
sleap_nn.training.model_trainer:ModelTrainer.setup_config(self)

sleap_nn.config.get_config:get_aug_config(intensity_aug=None, geometric_aug=None)
sleap_nn.config.get_config:get_backbone_config(backbone_cfg)
sleap_nn.config.get_config:get_head_configs(head_cfg)
sleap_nn.config.get_config:get_data_config()
sleap_nn.config.get_config:get_model_config()
sleap_nn.config.get_config:get_trainer_config()
sleap_nn.config.data_config:data_mapper(legacy_config)
sleap_nn.config.model_config:model_mapper(legacy_config)
sleap_nn.config.trainer_config:trainer_mapper(legacy_config)
sleap_nn.config.training_job_config:TrainingJobConfig.to_sleap_nn_cfg(self)
sleap_nn.config.training_job_config:TrainingJobConfig.load_sleap_config(json_file_path)
sleap_nn.config.training_job_config:TrainingJobConfig.load_sleap_config_from_json(json_str)
sleap_nn.config.training_job_config:verify_training_cfg(cfg)
sleap_nn.config.training_job_config:check_must_be_set(config)
sleap_nn.config.utils:get_model_type_from_cfg(config)
sleap_nn.config.utils:get_backbone_type_from_cfg(config)
sleap_nn.config.utils:get_output_strides_from_heads(head_configs)
sleap_nn.config.utils:check_output_strides(config)
sleap_nn.config.utils:oneof(cls, must_be_set=False)
sleap_nn.config.utils:resolve_model_dir(path)

sleap_nn.inference.run:predict(source, *, model_paths=None, backbone_ckpt_path, head_ckpt_path, device, batch_size=4, \
preprocess_config, anchor_part, peak_threshold, centroid_threshold, keypoint_threshold, integral_refinement, \
integral_patch_size, max_instances, centroid_only, emit_centroid, max_edge_length_ratio, dist_penalty_weight, \
n_points, min_instance_peaks, min_line_scores, paf_workers, return_confmaps, return_crops, return_pafs, \
return_paf_graph, return_class_maps, return_class_vectors, frames=None, filter_config=None, tracker_config=None, \
output_path=None, output_format, embed, restore_source_videos, clean_empty_frames=False, progress_callback=None, \
tracking_progress_callback=None)
sleap_nn.inference.run:predict(source, *, export_dir, runtime)
sleap_nn.inference.predictor:Predictor.from_export_dir(export_dir, *, runtime, device, batch_size, return_confmaps, \
filter_config, paf_workers, tracker_config, max_instances, min_instance_peaks, min_line_scores, peak_conf_threshold, \
emit_centroid)
sleap_nn.export:export_to_onnx(model, save_path, input_shape=(1, 1, 512, 512), input_dtype=torch.uint8, \
opset_version=17, dynamic_axes=None, input_names=None, output_names=None, do_constant_folding=True, verify=True, \
numerical_check=False, numerical_atol=1e-3, numerical_rtol=1e-3)
sleap_nn.export:export_to_tensorrt(model, save_path, input_shape=(1, 1, 512, 512), input_dtype=torch.uint8, \
precision="fp16", min_shape=None, opt_shape=None, max_shape=None, workspace_size=2147483648, method="onnx", \
verbose=True)
sleap_nn.export:export_model(model, save_path, fmt="onnx", input_shape=(1, 1, 512, 512), opset_version=17, \
output_names=None, verify=True, **kwargs)
sleap_nn.export:ExportMetadata.load(path)
sleap_nn.export:ExportMetadata.save(self, path)
sleap_nn.export:ExportMetadata.to_dict(self)
sleap_nn.export:ExportMetadata.from_dict(d)
sleap_nn.export:build_bottomup_candidate_template(n_nodes, max_peaks_per_node, edge_inds)
sleap_nn.inference.run:save_predictions(labels, output_path, output_format="slp", video_index=None, embed="false", \
restore_source_videos=False)
sleap_nn.inference.run:save_analysis_h5_files(labels, slp_output_path, video_index=None)

sleap_nn.inference.predictor:Predictor(layer, skeleton=None, batch_size=4, filter_config=None, paf_workers=0, \
tracker_config=None, model_paths=None, device=None, emit_centroid="instance")
sleap_nn.inference.predictor:Predictor.from_model_paths(model_paths, *, device, batch_size=4, backbone_ckpt_path, \
head_ckpt_path, peak_threshold, integral_refinement, integral_patch_size, max_instances, return_confmaps=False, \
preprocess_config, anchor_part, filter_config=None, paf_workers=0, tracker_config=None, centroid_only, \
emit_centroid="instance", max_edge_length_ratio, dist_penalty_weight, n_points, min_instance_peaks, min_line_scores)
sleap_nn.inference.predictor:Predictor.predict(self, source, *, make_labels=True, frames=None, skeleton=None, \
videos=None, clean_empty_frames=False, progress_callback=None, tracking_progress_callback=None, peak_threshold, \
centroid_threshold, keypoint_threshold, max_instances, integral_refinement, integral_patch_size, return_confmaps, \
return_crops, return_pafs, return_paf_graph, return_class_maps, return_class_vectors)
sleap_nn.inference.predictor:Predictor.predict_streaming(self, source, *, frames=None, progress_callback=None, \
peak_threshold, return_confmaps)
sleap_nn.inference.predictor:Predictor.predict_to_file(self, source, path, *, frames=None, skeleton=None, videos=None, \
write_interval, progress_callback=None)
sleap_nn.inference.predictor:Predictor.retrack(labels, tracker_config, clean_empty_frames=False, progress_callback=None)
sleap_nn.inference.predictor:Predictor.to_labels(self, outputs, source=None)
sleap_nn.inference.layer:Layer.predict(self, image)
sleap_nn.inference.layer:Layer.__call__(self, image)
sleap_nn.inference.layer:Layer.warmup(self, sample_shape=None)

sleap_nn.inference.outputs:Outputs.to(self, device)
sleap_nn.inference.outputs:Outputs.cpu(self)
sleap_nn.inference.outputs:Outputs.detach(self)
sleap_nn.inference.outputs:Outputs.numpy(self)
sleap_nn.inference.outputs:Outputs.slim(self)
sleap_nn.inference.outputs:Outputs.to_instances(self, skeleton, batch_index=0, anchor_ind=None, tracks=None, *, \
identities=None, collapse_skeleton=None)
sleap_nn.inference.outputs:Outputs.to_centroids(self, batch_index=0, *, source="center_of_mass", tracks=None)
sleap_nn.inference.outputs:Outputs.to_labels(self, skeleton, videos=None, anchor_ind=None, tracks=None, *, \
identities=None, collapse_skeleton=None, emit_centroid="instance", source="center_of_mass", keep_empty_frames=False)
sleap_nn.inference.filters:FilterPipeline(config)
sleap_nn.inference.filters:FilterPipeline.apply(self, outputs)
sleap_nn.inference.filters:FilterPipeline.__call__(self, outputs)
sleap_nn.inference.filters:FilterPipeline.run(outputs, config)
sleap_nn.inference.providers:VideoProvider(video, batch_size=4, frames=None)
sleap_nn.inference.providers:LabelsProvider(labels, batch_size=4, only_labeled_frames=False, \
only_suggested_frames=False, exclude_user_labeled=False, only_predicted_frames=False, frames=None)
sleap_nn.inference.providers:NumpyProvider(images, batch_size, frame_indices=None, video_indices=None)
sleap_nn.inference.providers:MultiVideoProvider(providers, video_offsets=None)
sleap_nn.inference.provenance:build_inference_provenance()
sleap_nn.inference.provenance:build_tracking_only_provenance()
sleap_nn.inference.provenance:merge_provenance(base, additional, overwrite=True)
sleap_nn.inference.writer:IncrementalLabelsWriter(path, skeleton, videos=None, write_interval=500, provenance=None, \
anchor_ind=None, collapse_skeleton=None, emit_centroid="instance", source="center_of_mass")
sleap_nn.inference.writer:IncrementalLabelsWriter.write(self, outputs)
sleap_nn.inference.writer:IncrementalLabelsWriter.close(self)
sleap_nn.inference.tracking:apply_tracking(labels, config, progress_callback=None)

sleap_nn.evaluation:Evaluator(ground_truth_instances, predicted_instances, oks_stddev=0.025, oks_scale=None, \
match_threshold=0, user_labels_only=True, match_method="oks", anchor_ind=None)
sleap_nn.evaluation:Evaluator.voc_metrics(self, match_score_by="oks", \
match_score_thresholds=np.linspace(0.5, 0.95, 10), recall_thresholds=np.linspace(0, 1, 101))
sleap_nn.evaluation:Evaluator.mOKS(self)
sleap_nn.evaluation:Evaluator.distance_metrics(self)
sleap_nn.evaluation:Evaluator.pck_metrics(self, thresholds=np.linspace(1, 10, 10))
sleap_nn.evaluation:Evaluator.visibility_metrics(self)
sleap_nn.evaluation:Evaluator.detection_metrics(self)
sleap_nn.evaluation:Evaluator.evaluate(self)
sleap_nn.evaluation:run_evaluation(ground_truth_path, predicted_path, oks_stddev=0.025, oks_scale=None, \
match_threshold=0, user_labels_only=True, save_metrics=None, match_method="oks", anchor_part=None)
sleap_nn.evaluation:compute_oks(points_gt, points_pr, scale=None, stddev=0.025, use_cocoeval=True)
sleap_nn.evaluation:compute_dists(positive_pairs)
sleap_nn.evaluation:find_frame_pairs(labels_gt, labels_pr, user_labels_only=True)
sleap_nn.evaluation:match_instances(frame_gt, frame_pr, stddev=0.025, scale=None, threshold=0)
sleap_nn.evaluation:match_frame_pairs(frame_pairs, stddev=0.025, scale=None, threshold=0)
sleap_nn.evaluation:compute_instance_area(points)
sleap_nn.evaluation:compute_gt_centroids(points, anchor_ind=None)
sleap_nn.evaluation:match_centroids(pred, gt, max_distance=50.0)
sleap_nn.evaluation:load_metrics(path, split="test", dataset_idx=0)

sleap_nn.legacy_predict:run_inference(data_path=None, input_labels=None, input_video=None, model_paths=None, \
backbone_ckpt_path=None, head_ckpt_path=None, max_instances=None, max_width=None, max_height=None, ensure_rgb=None, \
input_scale=None, ensure_grayscale=None, anchor_part=None, *, crop_size=None, device="auto", batch_size=4, \
queue_maxsize=32, only_labeled_frames=False, only_suggested_frames=False, exclude_user_labeled=False, \
only_predicted_frames=False, no_empty_frames=False, video_index=None, video_dataset=None, \
video_input_format="channels_last", frames=None, peak_threshold=0.2, integral_refinement="integral", \
integral_patch_size=5, max_edge_length_ratio=0.25, dist_penalty_weight=1.0, n_points=10, min_instance_peaks=0, \
min_line_scores=0.25, filter_overlapping=False, filter_overlapping_method="iou", filter_overlapping_threshold=0.8, \
filter_min_visible_nodes=0, filter_min_visible_node_fraction=0.0, filter_min_mean_node_score=0.0, \
filter_min_instance_score=0.0, make_labels=True, return_confmaps=False, return_pafs=False, return_paf_graph=False, \
return_class_maps=False, return_class_vectors=False, output_path=None, gui=False, tracking=False, \
tracking_window_size=5, min_new_track_points=0, candidates_method="fixed_window", min_match_points=0, \
features="keypoints", scoring_method="oks", scoring_reduction="mean", robust_best_instance=1.0, oks_stddev=None, \
track_matching_method="hungarian", max_tracks=None, use_flow=False, of_img_scale=1.0, of_window_size=21, \
of_max_levels=3, use_kalman=False, kf_track_features="centroid", kf_init_frame_count=10, kf_node_indices=None, \
kf_reset_gap_size=5, tracking_target_instance_count=None, tracking_pre_cull_to_target=0, \
tracking_pre_cull_iou_threshold=0, tracking_clean_instance_count=0, tracking_clean_iou_threshold=0, \
post_connect_single_breaks=False)
sleap_nn.legacy_predict:frame_list(text)

sleap_nn.system_info:get_system_info_dict()
sleap_nn.system_info:get_startup_info_string()
sleap_nn.system_info:print_system_info()
sleap_nn.model_info:print_model_info(path)

sleap_nn.config_generator:ConfigGenerator.from_slp(path)
sleap_nn.config_generator:ConfigGenerator.from_labels(labels)
sleap_nn.config_generator:ConfigGenerator.auto(self, view=None)
sleap_nn.config_generator:ConfigGenerator.pipeline(self, name)
sleap_nn.config_generator:ConfigGenerator.backbone(self, name)
sleap_nn.config_generator:ConfigGenerator.batch_size(self, n)
sleap_nn.config_generator:ConfigGenerator.max_epochs(self, n)
sleap_nn.config_generator:ConfigGenerator.learning_rate(self, lr)
sleap_nn.config_generator:ConfigGenerator.input_scale(self, s)
sleap_nn.config_generator:ConfigGenerator.output_stride(self, n)
sleap_nn.config_generator:ConfigGenerator.sigma(self, px)
sleap_nn.config_generator:ConfigGenerator.rotation(self, min_deg, max_deg)
sleap_nn.config_generator:ConfigGenerator.scale_augmentation(self, min, max)
sleap_nn.config_generator:ConfigGenerator.augmentation(self, enabled)
sleap_nn.config_generator:ConfigGenerator.early_stopping(self, enabled=True, patience=10)
sleap_nn.config_generator:ConfigGenerator.crop_size(self, px)
sleap_nn.config_generator:ConfigGenerator.anchor_part(self, name)
sleap_nn.config_generator:ConfigGenerator.validation_fraction(self, f)
sleap_nn.config_generator:ConfigGenerator.build(self)
sleap_nn.config_generator:ConfigGenerator.build_centroid(self)
sleap_nn.config_generator:ConfigGenerator.build_centered_instance(self)
sleap_nn.config_generator:ConfigGenerator.to_yaml(self)
sleap_nn.config_generator:ConfigGenerator.save(self, path)
sleap_nn.config_generator:ConfigGenerator.summary(self)
sleap_nn.config_generator:ConfigGenerator.recommend(self, view=None)
sleap_nn.config_generator:ConfigGenerator.memory_estimate(self)
sleap_nn.config_generator:analyze_slp(path)
sleap_nn.config_generator:recommend_pipeline(stats)
sleap_nn.config_generator:recommend_config(stats, view=None)
sleap_nn.config_generator:estimate_memory(stats, config)
sleap_nn.config_generator:generate_config(slp_path, output_path=None, *, view=None, pipeline=None, backbone=None, \
batch_size=None)
"""

TRAIN = """
train_labels_path=None, val_labels_path=None, validation_fraction=0.1, use_same_data_for_val=False, test_file_path=None,
provider="LabelsReader", user_instances_only=True, data_pipeline_fw="torch_dataset", cache_img_path=None,
use_existing_imgs=False, delete_cache_imgs_after_training=True, ensure_rgb=False, ensure_grayscale=False, scale=1.0,
max_height=None, max_width=None, crop_size=None, min_crop_size=100, crop_padding=None, use_augmentations_train=True,
intensity_aug=None, geometry_aug="rotation", init_weight="default", pretrained_backbone_weights=None,
pretrained_head_weights=None, backbone_config="unet", head_configs=None, batch_size=1, shuffle_train=True,
num_workers=0, ckpt_save_top_k=1, ckpt_save_last=None, trainer_num_devices=None, trainer_device_indices=None,
trainer_accelerator="auto", enable_progress_bar=True, min_train_steps_per_epoch=200, train_steps_per_epoch=None,
visualize_preds_during_training=False, keep_viz=False, max_epochs=10, seed=42, use_wandb=False, save_ckpt=False,
ckpt_dir=None, run_name=None, resume_ckpt_path=None, wandb_entity=None, wandb_project=None, wandb_name=None,
wandb_api_key=None, wandb_mode=None, wandb_save_viz_imgs_wandb=False, wandb_resume_prv_runid=None,
wandb_group_name=None, wandb_delete_local_logs=None, optimizer="Adam", learning_rate=1e-3, amsgrad=False,
lr_scheduler=None, early_stopping=False, early_stopping_min_delta=0.0, early_stopping_patience=1, online_mining=False,
hard_to_easy_ratio=2.0, min_hard_keypoints=2, max_hard_keypoints=None, loss_scale=5.0, zmq_publish_port=None,
zmq_controller_port=None, zmq_controller_timeout=10
"""

CONFIG_CLASSES = """
data_config: DataConfig PreprocessingConfig AugmentationConfig IntensityConfig GeometricConfig
model_config: ModelConfig BackboneConfig UNetConfig UNetMediumRFConfig UNetLargeRFConfig ConvNextConfig
model_config: ConvNextSmallConfig ConvNextBaseConfig ConvNextLargeConfig SwinTConfig SwinTSmallConfig SwinTBaseConfig
model_config: PretrainedConfig HeadConfig SingleInstanceConfig CentroidConfig CenteredInstanceConfig BottomUpConfig
model_config: BottomUpMultiClassConfig TopDownCenteredInstanceMultiClassConfig SingleInstanceConfMapsConfig
model_config: CentroidConfMapsConfig CenteredInstanceConfMapsConfig BottomUpConfMapsConfig PAFConfig ClassMapConfig
model_config: ClassVectorsConfig
trainer_config: TrainerConfig DataLoaderConfig TrainDataLoaderConfig ValDataLoaderConfig ModelCkptConfig WandBConfig
trainer_config: OptimizerConfig LRSchedulerConfig StepLRConfig ReduceLROnPlateauConfig CosineAnnealingWarmupConfig
trainer_config: LinearWarmupLinearDecayConfig EarlyStoppingConfig HardKeypointMiningConfig ZMQConfig EvalConfig
training_job_config: TrainingJobConfig
"""

FIELDS = """
sleap_nn.inference.outputs:Outputs original_image processed_image crops pred_keypoints pred_crop_keypoints
sleap_nn.inference.outputs:Outputs pred_peak_values pred_confmaps pred_pafs pred_paf_graph pred_centroids
sleap_nn.inference.outputs:Outputs pred_centroid_values instance_scores instance_tracking_scores instance_valid
sleap_nn.inference.outputs:Outputs instance_bboxes pred_class_inds pred_class_vectors pred_class_probs pred_class_maps
sleap_nn.inference.outputs:Outputs preprocess_info frame_indices video_indices
sleap_nn.inference.preprocess_info:PreprocInfo original_size processed_size eff_scale input_scale output_stride
sleap_nn.inference.preprocess_info:PreprocInfo pad_amount crop_offsets
sleap_nn.inference.providers:Batch images frame_indices video_indices instances
sleap_nn.inference.filters:FilterConfig min_peak_value min_instance_score min_mean_node_score min_visible_nodes
sleap_nn.inference.filters:FilterConfig min_visible_node_fraction overlapping overlapping_threshold overlapping_method
sleap_nn.inference.filters:FilterConfig min_centroid_distance
sleap_nn.inference.tracking:TrackerConfig window_size min_new_track_points candidates_method min_match_points features
sleap_nn.inference.tracking:TrackerConfig scoring_method scoring_reduction robust_best_instance oks_stddev
sleap_nn.inference.tracking:TrackerConfig track_matching_method max_tracks use_flow of_img_scale of_window_size
sleap_nn.inference.tracking:TrackerConfig of_max_levels use_kalman kf_track_features kf_init_frame_count kf_node_indices
sleap_nn.inference.tracking:TrackerConfig kf_reset_gap_size tracking_target_instance_count tracking_pre_cull_to_target
sleap_nn.inference.tracking:TrackerConfig tracking_pre_cull_iou_threshold tracking_clean_instance_count
sleap_nn.inference.tracking:TrackerConfig tracking_clean_iou_threshold post_connect_single_breaks features_explicit
sleap_nn.inference.tracking:TrackerConfig scoring_method_explicit candidates_method_explicit
"""

MEMBERS = """
sleap_nn.inference.outputs:Outputs batch_size n_instances n_nodes
sleap_nn.inference.predictor:Predictor skeleton filter_pipeline model_paths device
sleap_nn.inference.layer:Layer backend centroid_layer centered_instance_layer
sleap_nn.inference.runtime:Backend use_fp16 use_compile
sleap_nn.training.model_trainer:ModelTrainer config train_labels val_labels skeletons model_type backbone_type
sleap_nn.config.model_config:BackboneConfig which_oneof which_oneof_attrib_name
sleap_nn.config.model_config:HeadConfig which_oneof which_oneof_attrib_name
sleap_nn.config.data_config:PreprocessingConfig validate_scale
sleap_nn.config_generator:ConfigGenerator stats
sleap_nn.config_generator:MemoryEstimate total_gpu_gb
sleap_nn.cli:cli commands
"""

SAME = """
sleap_nn.inference:predict sleap_nn.inference.run:predict
sleap_nn:Predictor sleap_nn.inference:Predictor sleap_nn.inference.predictor:Predictor
sleap_nn:load_metrics sleap_nn.evaluation:load_metrics
sleap_nn.predict:run_inference sleap_nn.legacy_predict:run_inference
sleap_nn.predict:frame_list sleap_nn.legacy_predict:frame_list
sleap_nn.inference:merge_provenance sleap_nn.inference.provenance:merge_provenance
sleap_nn.export:export_to_onnx sleap_nn.export.exporters:export_to_onnx
sleap_nn.export:export_to_tensorrt sleap_nn.export.exporters:export_to_tensorrt
sleap_nn.export:export_model sleap_nn.export.exporters:export_model
sleap_nn.inference.outputs:PreprocInfo sleap_nn.inference.preprocess_info:PreprocInfo
"""


def lines(text: str) -> list[str]:
    return [line for line in text.strip().splitlines() if line]


def resolve(path: str) -> Any:
    module, _, attributes = path.partition(":")
    found: Any = import_module(module)
    for name in attributes.split("."):
        found = getattr(found, name)
    return found


def documented(parameters: str) -> inspect.Signature:
    """Return the signature that a text stands for; after `*`, a name without a default may have any."""
    return inspect.signature(eval(f"lambda {parameters}: None", {"np": np, "torch": torch}))


def keywords(function: Any) -> set[str]:
    """Return the keywords that a function takes in a TypedDict."""
    if not any("Unpack" in str(parameter.annotation) for parameter in parameters_of(function).values()):
        return set()
    groups = [get_args(hint)[0] for hint in get_type_hints(function).values() if get_origin(hint) is Unpack]
    return {name for group in groups for name in get_type_hints(group)}


def parameters_of(function: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


@pytest.mark.parametrize("row", lines(SIGNATURES), ids=lambda row: row.partition("(")[0])
def test_a_documented_function_takes_the_documented_parameters(row: str) -> None:
    path, _, rest = row.partition("(")
    function = resolve(path)
    actual, more = parameters_of(function), keywords(function)
    assert_accepts(actual, more, documented(rest.removesuffix(")")))


def assert_accepts(actual: dict[str, inspect.Parameter], more: set[str], wanted: inspect.Signature) -> None:
    places = [name for name, own in actual.items() if own.kind is own.POSITIONAL_OR_KEYWORD]
    for place, (name, parameter) in enumerate(wanted.parameters.items()):
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        assert name in actual or name in more, f"{name} is no parameter"
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            assert places[place] == name
        if parameter.default is not parameter.empty:
            assert_same(actual[name].default, parameter.default, name)


def assert_same(actual: Any, wanted: Any, name: str) -> None:
    if isinstance(wanted, np.ndarray):
        np.testing.assert_allclose(actual, wanted, err_msg=name)
    else:
        assert actual == wanted, name


def test_train_takes_the_documented_keywords_in_their_order() -> None:
    actual = parameters_of(resolve("sleap_nn.train:train"))
    wanted = documented(TRAIN.replace("\n", " "))
    given = [name for name in actual if name in wanted.parameters]
    assert given == list(wanted.parameters)
    for name, parameter in wanted.parameters.items():
        assert actual[name].default == parameter.default, name


def config_classes() -> list[tuple[str, str]]:
    rows = [line.split(": ") for line in lines(CONFIG_CLASSES)]
    return [(module, name) for module, names in rows for name in names.split()]


@pytest.mark.parametrize(("module", "name"), config_classes())
def test_a_configuration_class_gives_a_typed_schema(module: str, name: str) -> None:
    cls = resolve(f"sleap_nn.config.{module}:{name}")
    required = {f.name for f in dataclasses.fields(cls) if f.default is f.default_factory is dataclasses.MISSING}
    assert required == set()
    of_instance, of_class = OmegaConf.structured(cls()), OmegaConf.structured(cls)
    assert set(of_instance) == set(of_class) == {field.name for field in dataclasses.fields(cls)}


@pytest.mark.parametrize("row", lines(FIELDS))
def test_a_documented_class_has_the_documented_fields(row: str) -> None:
    path, *names = row.split()
    assert set(names) <= {field.name for field in dataclasses.fields(resolve(path))}


@pytest.mark.parametrize("row", lines(MEMBERS))
def test_a_documented_class_has_the_documented_members(row: str) -> None:
    path, *names = row.split()
    owner = resolve(path)
    assert [name for name in names if not hasattr(owner, name)] == []


@pytest.mark.parametrize("row", lines(SAME))
def test_one_object_has_several_names(row: str) -> None:
    first, *others = [resolve(path) for path in row.split()]
    assert all(other is first for other in others)
