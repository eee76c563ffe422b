"""Taba."""
