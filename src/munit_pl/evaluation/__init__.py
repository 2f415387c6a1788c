"""Named protocols: what is measured, on what, how often, so that figures can be compared."""
