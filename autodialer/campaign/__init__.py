"""What happens next: numbers and import, pacing, the breaker, retries. Pure rules; the store keeps their results."""
