"""The supervisor: runs the whole platform as child processes on one machine. It owns the data folder, nothing else."""
