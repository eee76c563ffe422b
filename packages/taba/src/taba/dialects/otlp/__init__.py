"""OpenTelemetry's protocol, its metrics: requests as they come over HTTP -> what clients recorded.

messages     the messages, read from JSON
protobuf     the same from protobuf, and the answers in both
naming       which client and which tab a point is of
translation  what each kind of point means

The protocol is https://opentelemetry.io/docs/specs/otlp/, the messages are those of opentelemetry-proto 1.x.
"""
