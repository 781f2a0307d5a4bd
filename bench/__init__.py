"""Measurements that print ratios against a limit or a peer of the same run. Run each as `python -m bench.NAME`."""
