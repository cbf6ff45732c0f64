"""Floor 2: DynamoDB and nothing else. Takes and returns domain objects; raises `Unavailable` for our own trouble."""
