"""Taba as Prometheus knows it: names, types, units, and the text that it scrapes."""
