"""A stage for all tests of a file, on the pretend Stripe that the tests of the HTTP surface use."""

import pytest

from tests.people.callers import Stage
from tests.web.conftest import pretend, scene
from tests.web.examples import Scene

__all__ = ["pretend", "scene"]


@pytest.fixture(scope="module")
def stage(scene: Scene) -> Stage:
    """Everybody who may stand at a door."""
    return Stage.build(scene)
