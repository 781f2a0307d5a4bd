"""Plumbing that could serve any daemon: it knows no job, node, app or workspace."""
