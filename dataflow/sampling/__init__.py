"""The rules of which raw check-ins are kept whole. Pure, as dataflow/monitors is."""
