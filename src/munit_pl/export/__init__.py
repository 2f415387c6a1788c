"""Trained models for others: folders to share, graphs for other programs."""
