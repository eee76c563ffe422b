"""Protocols that others made, in and out of what Taba means. Pure: no sockets, no clock."""
