"""The commands of the command line, one a file: its arguments, and what it does with them."""
