"""What is told to other programs and to people: events, the webhooks and notices that want them, deliveries."""
