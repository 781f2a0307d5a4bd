"""Decisions of the git server: what a command asks for and what a key may do. No I/O."""
