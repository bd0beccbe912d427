"""For every test."""

from hypothesis import settings

# How long an example takes says something about the machine and what else it does, not about the code.
settings.register_profile("pitada", deadline=None)
settings.load_profile("pitada")
