"""Where student code runs: a box, its limits, its kernel, and what comes out of it."""
