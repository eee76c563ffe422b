"""Who may do what: tokens and their scopes, kept as hashes in a file; TLS; names and origins that are answered.

    tokens    what a token looks like, and what a file says of one; pure
    file      the file of tokens, read and written whole
    keys      the tokens as they are now, for a process that runs
    limits    requests, bytes and events per second of a token; pure
    gate      a request's token against what it asks for
    patterns  which tabs and clients a token may write
    origins   which pages and names a request may come from and ask for; pure
    tls       certificates that are taken anew when they change
    outgoing  what is sent and trusted on the way to a server

Nothing here needs more than the agent has; `outgoing` is the client's too, and needs the standard library alone.
"""
