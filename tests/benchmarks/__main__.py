"""`python -m tests.benchmarks` is the main job's benchmark at its default size."""

from tests.benchmarks.main_job import main

main()
