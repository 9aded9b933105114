"""Where the world begins: sources and sinks."""
