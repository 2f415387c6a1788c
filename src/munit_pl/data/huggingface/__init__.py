"""Data sets opened with Hugging Face's `datasets`: where their domains are, and their images."""
