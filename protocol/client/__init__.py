"""Typed httpx clients of the wire contract: one method per endpoint, no decisions."""
