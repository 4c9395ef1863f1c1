"""Grade submissions: one by one into results, and a class into rows of the store."""
