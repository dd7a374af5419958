"""The stream of training utterances and their augmentation."""
