"""HTTP on the loopback interface: the same methods as the socket's, the live stream, the page."""
