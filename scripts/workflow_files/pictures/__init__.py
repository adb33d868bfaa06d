"""Pictures of the template browser: what goes in, and what comes out."""
