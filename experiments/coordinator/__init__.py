"""The loop of a study: a session opens what it needs, the coordinator runs it, and repairs what a killed one left."""
