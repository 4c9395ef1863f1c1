"""Files, text, times, and statistics."""
