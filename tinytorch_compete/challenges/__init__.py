"""Challenge packs on disk, and the release of their challenges to students."""
