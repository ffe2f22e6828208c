"""Which captions are near a query: exact search, the older methods, and what is shown of a ranking."""
