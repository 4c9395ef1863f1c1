"""What tests share: made-up classes, notebooks, courses and results."""
