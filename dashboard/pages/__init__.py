"""Pages: rendered on the server, readable without scripts, kept current by the live feed."""
