"""What every front end shares: choices, words, what a click does. Neither Qt nor trame."""
