"""Erasing a customer: who it is, what holds them, and taking them out."""
