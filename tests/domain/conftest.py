"""Properties run on the same examples every time: a red test is red for everybody."""

from hypothesis import settings

settings.register_profile("quick", derandomize=True, database=None, deadline=None, max_examples=100)
settings.load_profile("quick")
