"""Routes of the API entry."""
