"""From log-probabilities to text: greedy, beam search with a language model, boosting, times and confidence."""
