"""From a study to a champion: candidates trained on fresh seeds, ranked on holdout, judged on test, registered."""
