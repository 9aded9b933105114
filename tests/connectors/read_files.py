"""Reads files through the engine; prints each batch's file and last line number once its epoch is stored."""

import sys
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.run import cli_main

from dataflow.connectors.jsonl_source import FileSource
from dataflow.process.border import BorderSource


class Printer(StatefulSinkPartition):
    def __init__(self):
        self._written = []

    def write_batch(self, values):
        self._written += values

    def snapshot(self):
        for batch in self._written:
            if batch.messages:
                print(batch.topic, batch.messages[-1][0], flush=True)
        self._written = []


class PrinterSink(FixedPartitionedSink):
    def list_parts(self):
        return ["0"]

    def build_part(self, step_id, for_part, resume_state):
        return Printer()


flow = Dataflow("read")
stream = op.input("input", flow, BorderSource(FileSource(Path(sys.argv[1]), int(sys.argv[2]))))
op.output("output", op.map("key", stream, lambda batch: ("0", batch)), PrinterSink())
cli_main(flow, epoch_interval=timedelta(milliseconds=200))
