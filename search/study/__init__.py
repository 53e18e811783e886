"""The study file: read, checked, and held as frozen records."""
