"""The dashboard as people use it: through the HTTP door, with a browser's manners."""
