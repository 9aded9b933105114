"""The dataflow's steps: thin shells round the rules in `dataflow.monitors`."""
