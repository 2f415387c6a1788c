"""Quality in the minutes that people have: rows of settings on four sets. See README.md."""

SETS = ("shoes", "five", "tones", "designs")
SIDE = 64  # of all images, in pixels
