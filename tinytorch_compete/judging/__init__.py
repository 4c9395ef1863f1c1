"""The objects that a ``grader.py`` receives and may use; public for authors of packs."""
