"""A submission becomes a result; a class becomes rows."""
