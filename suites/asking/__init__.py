"""What is asked and how deep: protocols, depths, lengths, sampling."""
