"""What a run does beside training."""
