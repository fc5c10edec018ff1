"""What is kept of a study: its records, where they are stored, what identifies it, and the tables that are published."""
