"""Optimizers, learning rate schedules and gradients."""
