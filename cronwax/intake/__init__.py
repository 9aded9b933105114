"""The intake: check-ins over HTTP, as Sentry's SDKs, curl and ping clients send them, into the log or Kafka."""
