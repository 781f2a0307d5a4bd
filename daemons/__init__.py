"""The processes behind Fun AI Studio; each package is one process, `kit` is what they share."""
