"""The searches that the tests of decoding compare, and the labels and frames of their model."""

from data_prep.text.alphabet import load_alphabet

LABELS = load_alphabet()
BLANK = len(LABELS)
FRAME_S = 0.02
SEARCHES = ("greedy", "beam", "beam with LM", "beam with LM, NeMo's own", "pyctcdecode")
