"""Reading and drawing the two domains' images."""
