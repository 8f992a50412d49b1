"""What a network was trained on, as a list of steps from a scan to its input; each carries its affine.

A step is one frozen dataclass with its parameters and ``apply``; :data:`.chain.STEPS` is the table of names. To add
one, write the class and put it into the table.
"""
