"""Each command's command line, read before anything is imported that takes its time."""
