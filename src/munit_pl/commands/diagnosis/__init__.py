"""What ``munit-doctor`` tries, how it is judged, and the report."""
