"""Git, engine, agent, control plane and disk."""
