"""``python -m sleap_nn.cli``: the same program as ``sleap-nn``."""

from sleap_nn.cli.program import run

run()
