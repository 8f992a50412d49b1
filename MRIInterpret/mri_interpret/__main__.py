"""``python -m mri_interpret`` is the command line, where its entry point is not on the PATH."""

from .command_line.app import main

if __name__ == "__main__":
    main()
