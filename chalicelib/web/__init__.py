"""Floor 4: HTTP only. Doors read a request, call one flow or one read, and answer."""
