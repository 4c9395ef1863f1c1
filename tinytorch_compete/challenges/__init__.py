"""Challenge packs on disk and their release."""
