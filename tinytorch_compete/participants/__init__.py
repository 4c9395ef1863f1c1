"""Who takes part: registrations, teams, the roster, pseudonyms."""
