"""All that touches MLflow's runs: what Tailor writes, how it arrives, and how Tailor reads it back."""
