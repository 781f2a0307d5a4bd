"""What to do for a job, decided without doing it."""
