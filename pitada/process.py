"""How a process that settles messages runs, whatever it holds else."""

import gc

# A batch makes some ten thousand objects that live until its commit, hardly one of them in a cycle. At Python's own 700
# each of them would be walked dozens of times to find nothing: a fifth of what a message costs.
_YOUNG = 50_000


def spare_the_collector() -> None:
    """Call once everything is imported: what is there now stays, and new objects are looked at less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 50)
