"""One process that claims jobs, renders them, publishes the pictures and settles."""
