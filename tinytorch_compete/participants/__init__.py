"""Participants: registrations, teams, the roster, pseudonyms."""
