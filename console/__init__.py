"""The operations console: a reader of the control plane that holds no truth of its own."""
