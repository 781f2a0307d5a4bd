"""Use cases of the API entry."""
