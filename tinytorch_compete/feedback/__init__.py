"""Write feedback for students: a notebook, with a record of the result in it."""
