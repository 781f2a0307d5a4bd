"""Pieces of the composition root that would make `app.py` too long: what is outside, and the services over it."""
