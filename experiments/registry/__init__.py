"""From a study's best trial to a registered model, and back to a folder that holds it."""
