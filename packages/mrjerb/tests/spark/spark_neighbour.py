"""What a job imports from beside itself, and travels with it."""


def words(line):
    return line.split()
