"""Pure rules of the control plane. Times are epoch milliseconds of the database's clock."""
