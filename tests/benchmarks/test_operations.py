"""The shares of a step by kind of operation, for a model that takes no time."""

import re

import pytest

from tests import forked


@pytest.mark.parametrize("options", [("fp32",), ("bf16", "--checkpointing")])
def test_the_shares_of_all_kinds_are_the_whole(options):
    done = forked.run("benchmarks/operations.py", "--size", "tiny", "--repeats", "1", "--dtype", *options)
    assert done.returncode == 0, done.stderr
    *kinds, whole = done.stdout.splitlines()
    assert {line[:34].rstrip() for line in kinds} >= {"products", "attention", "attention, backward", "gelu", "norms"}
    seconds = [float(re.search(r"([0-9.]+) s", line[34:]).group(1)) for line in kinds]
    assert sum(seconds) == pytest.approx(float(whole.split()[2]), abs=1e-3)
    assert sum(float(line.split()[-1].rstrip("%")) for line in kinds) == pytest.approx(100, abs=1)
