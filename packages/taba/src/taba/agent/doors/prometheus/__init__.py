"""What Prometheus' programs tell an agent: written to it remotely, or on pages that it fetches.

taking          samples -> what is recorded, by what the book knows of their series
remote_write    the door for POST /api/v1/write
targets         which pages are fetched, and under which names
fetching        one page, within bounds of time and size
scraping        the door that fetches pages at intervals
"""
