"""Use cases of the git server."""
