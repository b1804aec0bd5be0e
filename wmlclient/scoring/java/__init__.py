"""What Java does differently from Python: regular expressions, lower case, hashes, numbers as text."""
