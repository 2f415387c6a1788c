"""Image files read, whatever they hold; images as tensors, and back."""
