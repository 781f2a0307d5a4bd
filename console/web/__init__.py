"""The console in a browser: one process of it for each tab, behind the operator's own token."""
