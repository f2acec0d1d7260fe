"""What is shown and sent: contents, placements, campaigns and the outbox."""
