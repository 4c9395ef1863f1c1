"""Grade again beside what is published: stage, compare, explain, promote, audit."""
