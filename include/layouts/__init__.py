"""Column lists of existing systems, by name: one file per system."""
