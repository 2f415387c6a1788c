"""The two domains as LightningDataModules."""
