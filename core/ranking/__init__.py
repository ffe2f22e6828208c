"""Rank captions by nearness to a query: exact search, the older methods, and how a ranking is displayed."""
