"""Targets of other protocols: what senders that we did not write may say, or somebody in their place."""

from __future__ import annotations
