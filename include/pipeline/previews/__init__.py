"""A look at what an export would be, before it is saved."""
