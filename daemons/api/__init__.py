"""The API entry: the only door for people. Owns users, apps, SSH keys, and who may do what."""
