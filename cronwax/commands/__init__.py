"""What the commands that talk to Kafka or the recovery store do."""
