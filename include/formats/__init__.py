"""Files: one module per format (`options.Format` says what it offers), and what all formats share.

The way of a file: batches -> `csv.encode` -> `compression.compress` -> `artefact.write` -> `manifest`.
"""
