"""The child process that does long work: requests to it, its messages, its files."""
