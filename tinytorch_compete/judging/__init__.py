"""What a ``grader.py`` is handed and may use; public for authors of packs."""
