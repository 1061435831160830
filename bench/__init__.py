"""Every number that README.md and bench/RESULTS.md quote: `make bench`, `python -m bench.<name>`."""
