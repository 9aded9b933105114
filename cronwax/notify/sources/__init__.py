"""Where the flow's messages are read: from its file, or from Kafka."""
