"""The editing problems: what is edited, what is asked, and where it is read from. No model is seen here."""
