"""The list of faults, by group."""

from fault_rows import images, numbers, processes, settings, stops, storage
from fault_rows.checks import Row

_GROUPS = (images, stops, storage, processes, numbers, settings)
ROWS: list[Row] = [row for group in _GROUPS for row in group.ROWS]
