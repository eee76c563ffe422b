"""The original Taba's protocol, version 1: what its clients and its agents post. Pure.

    body      = version NL NL *client
    version   = "1"
    client    = id NL NL *tab NL                         a blank line after the client's last tab
    tab       = name NL *event NL                        a blank line after the tab's last event
    event     = "[" type "," timestamp "," value "]" NL  a JSON array in one line
    type      = JSON string, as in "CounterGroup"
    timestamp = JSON number, seconds since 1970
    value     = JSON string that holds JSON:             "1.5", "[\\"on\\", 1700000000]"

Lines end with one line feed. What is missing at the end is forgiven. What the types mean here is in `types`.
"""
