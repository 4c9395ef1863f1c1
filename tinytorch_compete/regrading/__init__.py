"""Regrade beside the published grades: stage, compare, explain, promote, audit."""
