"""The space of a study: its parameters, the conditions between them, and the rules that pick values."""
