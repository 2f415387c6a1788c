"""MUNIT, and the methods beside it."""
