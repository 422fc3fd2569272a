"""What the pages show of one customer: found, looked at, figured, logged."""
