"""The ground floor: rows, the queue, settings and bytes. No fastapi, no torch, no pixels."""
