"""Learning rates, updates and gradients."""
