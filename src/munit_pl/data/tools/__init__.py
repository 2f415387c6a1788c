"""Data sets downloaded, unpacked, prepared and checked."""
