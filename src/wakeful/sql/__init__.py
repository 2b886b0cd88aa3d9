"""A SQLite database for each actor that wants one, its pages kept in the store."""
