"""Decisions of the API entry: no I/O, no clock, no logging."""
