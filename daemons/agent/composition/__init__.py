"""Pieces of the composition root that would make `app.py` too long. Only `app.py` reads them."""
