"""What the console knows and how it comes to know it; nothing here draws."""
