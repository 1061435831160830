"""Server-rendered pages: the sales floor."""
