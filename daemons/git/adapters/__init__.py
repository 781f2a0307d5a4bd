"""SSH, the access file, the repositories on disk and the git processes."""
