"""Run student code in a box: its limits, its kernel, and the evidence that comes out."""
