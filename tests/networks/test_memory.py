"""While a network runs on a processor, what one layer leaves is there for the next."""

import os
import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import torch
from actatlas.networks import kept_memory

def faults(count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        torch.ones(10_000_000)  # 40 MB, gone at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1])

faults(3)
before = faults(10)
with kept_memory(), kept_memory():
    faults(3)
    inside = faults(10)
    with kept_memory():
        pass
    still = faults(10)
    held = resident()
given_back = held - resident()
print(before, inside, still, faults(10), given_back)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library is told to keep memory")
def test_memory_is_kept_inside_and_given_back_after():
    own = ("MALLOC_", "GLIBC_TUNABLES")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    run = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    before, inside, still, after, given_back = map(int, run.stdout.split())
    assert before > 1_000 and after > 1_000  # pages of 4 KB, or of 2 MB
    assert inside < before / 20 and still < before / 20
    assert given_back * 4096 > 30_000_000
