"""Targets: one module per kind of place that files go to; `protocol.Target` says what each offers."""
