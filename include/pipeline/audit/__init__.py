"""Anchors of the audit chain, and its verification."""
