"""The ways in which a container engine fails."""


class EngineError(Exception):
    """The container engine could not do it; the message holds its own words."""


class PortTaken(EngineError):
    """Another process holds the host port; a different one may work."""
