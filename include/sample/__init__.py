"""A believable loyalty program of any size, the same for the same seed: `generate` it, or `load` it."""

from include.sample.batches import generate
from include.sample.loading import load
from include.sample.plan import Plan

__all__ = ["Plan", "generate", "load"]
