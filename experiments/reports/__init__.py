"""A study's report: Optuna's plots of it, advice, and one page that opens offline."""
