"""What surrounds a run: resuming, processes, locks, logs, loggers, memory, precision."""
