"""What the console showed, kept for two days and played again. No terminal and no network in here."""
