"""How a process that settles messages, or holds many connections, runs, whatever it holds else."""

import gc
import resource

# A batch makes some ten thousand objects that live until its commit, hardly one of them in a cycle. At Python's own 700
# each of them would be walked dozens of times to find nothing: a fifth of what a message costs.
_YOUNG = 50_000


def spare_the_collector() -> None:
    """What is there now stays, and new objects are looked at less often. Call it once all is imported, or built."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 50)


def raise_open_files(to: int) -> int:
    """Let this process, and those it starts, have `to` files and sockets open, as far as it may. Returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = to if hard == resource.RLIM_INFINITY else min(to, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    return to if soft == resource.RLIM_INFINITY else soft
