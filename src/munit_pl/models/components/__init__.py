"""Networks that more than one method has."""
