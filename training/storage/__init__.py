"""Files on disk that are there whole or not at all: cache entries, states, videos."""
