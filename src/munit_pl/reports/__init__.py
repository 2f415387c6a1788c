"""A run as one local HTML page: its grids over time, its curves, its settings."""
