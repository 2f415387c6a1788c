"""How an iteration is run as fast as the machine allows, whatever is trained."""
