"""Parts of the control plane that are put together apart from the daemon itself."""
