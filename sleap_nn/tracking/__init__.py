"""Instances of successive frames -> tracks: online in `tracker`, over a whole video in `linking`.

Frames in, frames out: nothing here reads videos or labels files.
"""
