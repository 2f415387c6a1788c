"""What surrounds a run: processes, locks, logs, loggers, memory."""
