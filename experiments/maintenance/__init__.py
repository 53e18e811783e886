"""What keeps a store in order: delete and rename studies, and remove what nothing needs."""
