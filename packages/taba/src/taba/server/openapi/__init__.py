"""The HTTP interface described in OpenAPI: what the calls take, and what they answer."""
