"""Users, their sessions, the audit, and the idempotency keys of their requests."""
