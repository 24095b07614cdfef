"""The chain from frames to instances, which prediction and the evaluation of a running training share.

`Stage` is one network with its task and its input; `predict_frames` runs a chain of them over a source of frames.
Models are loaded, and results written, in `sleap_nn.inference`.
"""
