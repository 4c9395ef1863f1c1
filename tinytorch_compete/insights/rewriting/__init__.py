"""Changes that can be made mechanically: a source in, the changed source out."""
