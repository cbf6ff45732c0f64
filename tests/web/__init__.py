"""The HTTP surface, as callers meet it."""
