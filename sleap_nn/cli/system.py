"""``sleap-nn system``: the report of `sleap_nn.system_info`."""

import click

from sleap_nn.cli.options import Command

EXAMPLES = """\
sleap-nn system                  what to paste into a bug report
"""


@click.command("system", cls=Command, epilog=EXAMPLES)
def command() -> None:
    """Report versions, devices and packages, and test that the device computes correctly.

    Works without a GPU. The self-test runs a small network on the device and compares it with the CPU.
    """
    from sleap_nn.system_info import print_system_info

    print_system_info()
