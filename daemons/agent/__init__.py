"""The runtime agent: owns the containers of users' apps on this node and the routes that lead to them."""
