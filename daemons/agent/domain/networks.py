"""The name of an app's network, so that no app shares one with another."""

from hashlib import sha256


def network_name(node: str, user_id: str, app_id: str) -> str:
    """The network's name on the engine; nodes that share an engine have networks of their own."""
    return f"rt-u-{user_id}-{app_id}-{sha256(node.encode()).hexdigest()[:8]}"
