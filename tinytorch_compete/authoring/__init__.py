"""Commands for challenge authors: scaffold, samples, memory caps, verification."""
