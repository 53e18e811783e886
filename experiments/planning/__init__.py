"""A study made ready to run: resolved, checked against its model and its data, compared with what was recorded."""
