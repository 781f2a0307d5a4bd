"""How the parts of the API entry are put together."""
