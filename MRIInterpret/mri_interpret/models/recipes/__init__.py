"""Published networks from the user's own copy of their files: a recipe says what they are; no weights ship.

A recipe is one file with a subclass of :class:`.recipe.Recipe`, listed in :data:`.table.RECIPES`.
"""
