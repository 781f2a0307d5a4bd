"""The control plane's SQL: `queries*.sql` is what runs, `schema.*.sql` the readable present, `migrations/` the past."""
