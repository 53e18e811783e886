"""The loop of a study: a session opens its stores and workers, repairs what a killed session left, and runs the coordinator."""
