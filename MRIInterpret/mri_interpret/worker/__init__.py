"""The child process that does long work, what it is asked, its messages and its files."""
