"""A configuration: composed, checked, and built."""
