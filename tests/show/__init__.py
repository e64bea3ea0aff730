"""Views: what a person, a ticket and a spreadsheet are shown."""
