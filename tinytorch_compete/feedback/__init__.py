"""What goes back to a student: the feedback notebook and its record."""
