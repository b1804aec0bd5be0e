"""Batches: files in, scored files out, in a process of its own for each job."""
