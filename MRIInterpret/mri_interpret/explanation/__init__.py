"""The main job: a scan in, an Explanation out, with where it came from."""
