"""Each command's command line, read before anything is imported that takes its time."""

import argparse


def add_precision(parser: argparse._ActionsContainer) -> None:
    """Add ``--precision``, of what puts a model to use."""
    parser.add_argument(
        "--precision",
        choices=["fp32", "bf16", "fp16", "auto"],
        default="fp32",
        help="auto: bf16 where that is faster here (%(default)s)",
    )
