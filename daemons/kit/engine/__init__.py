"""What daemons with containers need of an engine: calls in its own words, fenced networks, packet filter rules."""
