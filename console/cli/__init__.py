"""The `funai` command: one module per kind of command, imported only when it is asked for."""
