"""Bodies come in: as many as there is memory for, in time, with a share for each caller."""
