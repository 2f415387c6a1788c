"""Shared models: named, found, described, written, uploaded."""
