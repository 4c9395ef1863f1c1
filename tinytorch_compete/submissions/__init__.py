"""What a student sent: read with suspicion, flagged, assembled."""
