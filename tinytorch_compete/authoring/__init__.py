"""What a challenge author does: scaffold, samples, memory caps, verification."""
