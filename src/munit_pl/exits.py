"""With which status a command ends, so that a scheduler knows what to do next."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit statuses of ``munit-train`` beside 0 (done) and 1 (an error without a number).

    They follow ``sysexits.h`` where it has one. A run that a signal stopped ends with 128 plus the
    signal's number, as shells have it.
    """

    BAD_INPUT = 2  # a setting, file or folder, told before anything is trained
    BAD_DATA = 65  # more bad images than `max_bad_fraction`
    DIVERGED = 70  # gradients that are not finite, iteration after iteration
    CANNOT_SAVE = 74  # checkpoints cannot be written
    DATA_LOST = 75  # the images are not there any more: start the run again
