"""The API: thin. Check what came in, make one call down, give one answer back."""
