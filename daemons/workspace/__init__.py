"""The workspace node: a container per user, with files that outlive it, terminals, runs and previews."""
