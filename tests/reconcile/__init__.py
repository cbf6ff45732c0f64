"""Planted differences, and calls whose webhook was lost."""
