"""What can be added to a method's training."""
