"""How a network is trained: its head alone, or all of it."""
