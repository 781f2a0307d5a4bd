"""Ports of this machine."""

import socket


class LocalPorts:
    """The port `FreePorts` by trying to take them."""

    def free(self, port: int) -> bool:
        """Whether nobody listens on it on 127.0.0.1 now."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                found.bind(("127.0.0.1", port))
            except OSError:
                return False
        return True
