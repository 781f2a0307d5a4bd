"""The deploy control plane: owns jobs, runtime nodes, placements and the event log; runs no user code."""
