"""The worker process of one model: schedule, run, update. Tokens in and out, never text."""
