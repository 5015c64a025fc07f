"""A chapter executed once, and what is kept of it."""
