"""MUNIT's iteration at the speed of a GPU."""
