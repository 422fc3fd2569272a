"""`python -m include.cli` is `loyalty`."""

from include.cli import main

main()
