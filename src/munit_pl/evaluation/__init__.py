"""Named protocols: what is measured, on what, how often, so that metrics can be compared."""
