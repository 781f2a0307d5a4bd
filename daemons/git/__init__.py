"""The embedded git server: repositories over SSH for users and runners. Owns the bare repositories and no accounts."""
