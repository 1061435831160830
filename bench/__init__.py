"""Every number that README.md and bench/RESULTS.md quote: `make bench` or `python -m bench.NAME`."""
