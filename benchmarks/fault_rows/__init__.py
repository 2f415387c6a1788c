"""The list of faults, by group."""

from fault_rows import (
    folders,
    hostile,
    images,
    munit_data,
    numbers,
    processes,
    settings,
    stops,
    storage,
)
from fault_rows.checks import Row

ROWS: list[Row] = [
    row
    for group in (
        images,
        folders,
        stops,
        storage,
        processes,
        numbers,
        settings,
        munit_data,
        hostile,
    )
    for row in group.ROWS
]
