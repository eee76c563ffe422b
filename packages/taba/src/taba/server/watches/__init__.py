"""Runs the watches: looks at the answers every few seconds, and does what is to be done when one fires."""
