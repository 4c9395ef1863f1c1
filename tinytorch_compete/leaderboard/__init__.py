"""Leaderboards as notebooks: data with handles, code that anyone can run again, and pictures."""
