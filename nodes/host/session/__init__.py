"""A MODEL that is loaded to be trained."""
