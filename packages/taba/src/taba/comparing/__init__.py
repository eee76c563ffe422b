"""Is this client like the others, this hour like the one before? Pure statistics; no I/O, no clock.

    tails      exact tests of two counts, and the limits of one
    spread     how much clients differ by themselves, and what that does to a test
    counts     counters: how many events, for the time or for each of another counter's
    ranks      percentiles: shifts and tails, from the bins of sketches
    verdicts   many tests -> one verdict for each tab, and one for all

Two groups are compared: the one that is judged (`one`, a canary), and what it is held against (`other`). Numpy and
scipy are imported here and nowhere else, so that a server loads them with the first comparison.
"""
