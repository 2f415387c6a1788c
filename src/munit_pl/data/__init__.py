"""The training data: image files or drawn shoes, as samples and batches of two domains."""
