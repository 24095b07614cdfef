"""Pose models from labelled frames."""
