"""How a network is built and fitted: factories, training, and nothing of searches or stores."""
