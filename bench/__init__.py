"""How fast usage is posted, what it costs to write, and how quick the gate is: `python -m bench` measures it all."""
