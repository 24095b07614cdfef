"""Older files and spellings -> today's: plain dicts in, plain dicts out; nothing here imports the package."""
