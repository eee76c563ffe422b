"""A job that always fails."""


def map(line):
    raise Exception("BOOM")
