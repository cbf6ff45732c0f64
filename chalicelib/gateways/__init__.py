"""Floor 2: other people's APIs. Never meets storage."""
