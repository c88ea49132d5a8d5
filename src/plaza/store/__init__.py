"""The store: PostgreSQL, its schema, and the private server that Plaza runs where nobody names another."""
