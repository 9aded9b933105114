"""Tools for people: write to the flow's topics, and watch what it sends."""
