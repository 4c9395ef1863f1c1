"""Code that runs inside the student's kernel: untrusted, and free of imports from this package."""
