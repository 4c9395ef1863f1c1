"""Leaderboards as notebooks: data under handles, code that anyone can rerun, and charts."""
