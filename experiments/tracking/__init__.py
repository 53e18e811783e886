"""All that touches MLflow's runs: what is written, how it arrives, and how it is read back."""
