"""``python -m sleap_nn.cli``: the same program as ``sleap-nn``."""

from sleap_nn.cli.main import cli

cli(prog_name="sleap-nn")
