"""One trial on one worker, and its measurements. Knows no store and no Dask."""
