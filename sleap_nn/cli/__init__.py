"""The command line: each command reads its options, calls one function of the package and prints.

No computation lives here. `cli` is the click group behind the console script ``sleap-nn``.
"""

from sleap_nn.cli.main import cli

__all__ = ["cli"]
