"""The process beside the clients: takes their frames, keeps them on disk, and forwards them until they are counted."""
