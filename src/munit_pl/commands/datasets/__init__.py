"""What ``munit-data`` does, one file each."""
