"""Tables of the API entry in SQLite or MySQL."""
