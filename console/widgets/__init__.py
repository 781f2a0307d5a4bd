"""What the console draws with; widgets show values and tell what was pressed, and know nothing of the network."""
