"""The client: what a program records becomes frames, four times a second, which are sent until answered.

    settings   what it is told by arguments and by the environment
    tabs       handles: a tab's list of events, and the bound `append` that is its `record`
    timer      milliseconds of a block or a function
    recorder   the process's one client: start, flush, stop, and what a fork means
    engine     the two threads of a client that runs
    spans      which time a frame stands for
    drain      lists of events -> what a frame says; pure
    flusher    one epoch: drains, numbers and encodes frames
    pending    encoded frames that wait for their answer, bounded; pure
    link       one HTTP connection to an agent or a server
    log        what people are told
    sender     one request in flight, repeated until answered

`import taba` imports the first four; the rest comes when the client starts.

What is promised: each frame is counted once, whatever is repeated. Memory is bounded but for one thing: from
one flush to the next, a quarter of a second, a tab's list grows with every value recorded. What exceeds a bound
is dropped, counted by tab and reason, and reported in the next frame, or, where a whole frame is dropped, in the
tombstone that goes in its place. So what was recorded is what was counted and what was dropped, exactly. A process
that is killed loses what it recorded since its last flush, and the frames that were not answered yet.
"""
