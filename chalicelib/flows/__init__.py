"""Floor 3: one file for each thing that changes money or accounts. Knows no HTTP."""
