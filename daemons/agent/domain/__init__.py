"""Pure decisions about apps on a node."""
