"""A registered model made smaller: pruned, distilled, in 8 bits; measured, chosen on holdout, and registered as a challenger."""
