"""What stands around the flow: the command line, and what its commands run."""
