"""How the runner is put together: what builds, what else is outside, the services over both, and its own HTTP port."""
