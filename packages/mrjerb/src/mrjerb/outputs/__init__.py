"""What a job writes: pairs become lines or rows of part files in a staging folder, which is published at once."""
