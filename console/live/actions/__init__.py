"""What an operator can do, as data: `registry` lists every action, `gate` is the only way from one to the network."""
