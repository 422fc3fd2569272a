"""The parts of the liability report: points, tiers, programs, consideration and money."""
