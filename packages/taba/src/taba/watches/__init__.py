"""Watches: rules over answers, and what becomes of them as answers come. Pure; `taba.server.watches` runs them."""
