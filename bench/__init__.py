"""Every number that README and bench/RESULTS.md quote: `make bench`, or `python -m bench.NAME`."""
