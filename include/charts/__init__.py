"""Charts: figures in, SVG text out. Pure functions that know nothing of exports, requests or files.

A picture carries its colours twice: as attributes, which stand where it is alone (a download, a PNG), and as classes,
by which the style sheet of a page gives it the colours of its theme. It has no style attribute and no script, so a
strict content security policy lets it in; the same figures give the same bytes.

Drawn here and by no library, for reasons that were tried (docs/dashboards.md).
"""
