"""Hindi text: normaliser, alphabet, numbers in words and back."""
