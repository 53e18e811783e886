"""What happens to models: run, record, choose, ship. The one room that composes `search` and `models`."""
