"""Pure decisions of the supervisor: which ports, which secrets, how long to wait before a restart."""
