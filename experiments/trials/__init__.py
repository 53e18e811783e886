"""One trial on one worker, and what is measured of it. Knows no store and no Dask."""
