"""The runner: turns one claimed job into one report. It owns nothing that outlives the job but the image it built."""
