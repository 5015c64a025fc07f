"""Recorded runs: experiments that are too long for a notebook."""
