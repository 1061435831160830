"""Queues that are measured side by side, ours among them. Each module is a program with the same
commands, run in the environment where its library is installed:

    install URL              make its tables
    enqueue URL COUNT        when told to start: add COUNT jobs, one at a time, each durable
    work URL                 when told to start: work until the queue is empty, one job a claim
    render URL COUNT BEATS   COUNT jobs by the library's own statements, BEATS heartbeats in each
"""
