"""The wire contract between the console, the daemons and existing clients. Imports nothing of ours."""
