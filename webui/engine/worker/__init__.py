"""The worker process of one loaded model: schedule, run, update. Tokens in, tokens out; knows nothing about text."""
