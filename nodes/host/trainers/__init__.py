"""The trainers, one a method: settings and data in, a job for a run out."""
