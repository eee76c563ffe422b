"""What Prometheus' programs say, on pages that are scraped and in what is written remotely, in Taba's words.

messages    the protobuf messages of remote write 1.0 and 2.0
snappy      their compression, unpacked within bounds
requests    a request's body -> series with their samples
text        a page in the text format or in OpenMetrics -> families with their samples
naming      a series' labels -> client, tab and tags
kinds       which series belong together, and what they are
native      native histograms -> bins
"""
