"""Files: read safely, written whole, checked."""
