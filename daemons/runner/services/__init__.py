"""The work itself, over ports."""
