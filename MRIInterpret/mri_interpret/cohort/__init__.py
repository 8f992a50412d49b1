"""The main job over many subjects, and what comes out of a group."""
