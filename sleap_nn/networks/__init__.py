"""Torch modules: backbones, the network that joins one to heads, and the files of a trained model."""
