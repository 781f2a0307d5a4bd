"""Logs of jobs and apps: kept as bytes, made safe and laid out when they are drawn. No terminal in here."""
