"""The contracts of the daemons: how they are made of routes and wire models, and held against what is answered."""
