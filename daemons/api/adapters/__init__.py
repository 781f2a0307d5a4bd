"""Database, deploy control plane and access file."""
