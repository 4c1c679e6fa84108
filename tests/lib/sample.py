"""Parameters of which `make check` takes a sample, and `make check-long` all."""
import pytest


def every(step, items):
    """The first of each so many; the others are marked long."""
    return [item if number % step == 0 else pytest.param(item, marks=pytest.mark.long) for number, item in enumerate(items)]
