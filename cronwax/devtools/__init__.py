"""For development on one machine: a Kafka broker."""
