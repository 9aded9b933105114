import io

from dataflow.connectors.progress import Progress
from dataflow.monitors.check_in import NO_MINUTE

START_MINUTE = 29_016_000  # 2025-03-03T00:00:00Z


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def lines_of(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def test_a_pipe_gets_a_line_every_five_seconds_at_most_and_one_at_the_end() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(None, "messages", stream, clock)
    progress.start("a", 1_000, 0)
    for second in range(1, 13):
        clock.now_s = float(second)
        progress.advance("a", second * 50, 50, START_MINUTE + second)
    progress.finish("a")
    assert lines_of(stream) == [
        "cronwax: 25% of 1,000 messages, 250 read, 50 a second, at 2025-03-03 00:05 UTC",
        "cronwax: 50% of 1,000 messages, 500 read, 50 a second, at 2025-03-03 00:10 UTC",
        "cronwax: 60% of 1,000 messages, 600 read, 50 a second, at 2025-03-03 00:12 UTC",
    ]


def test_partitions_add_up_and_the_clock_is_the_slowest_ones() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(None, "bytes", stream, clock)
    progress.start("a", 3_000_000, 0)
    progress.start("b", 1_000_000, 500_000)
    progress.advance("a", 1_500_000, 10, START_MINUTE + 9)
    clock.now_s = 6.0
    progress.advance("b", 500_000, 20, START_MINUTE)
    assert lines_of(stream) == ["cronwax: 50% of 4.0 MB, 30 read, 5 a second, at 2025-03-03 00:00 UTC"]


def test_the_last_line_comes_when_the_last_partition_ends_and_only_once() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(200, "messages", stream, clock)
    progress.start("a", 100, 0)
    progress.start("b", 100, 0)
    clock.now_s = 1.0
    progress.advance("a", 100, 100, START_MINUTE)
    progress.finish("a")
    assert lines_of(stream) == []
    progress.advance("b", 100, 100, START_MINUTE + 1)
    progress.finish("b")
    progress.finish("b")
    assert lines_of(stream) == [
        "cronwax: 100% of 200 messages, 200 read, 200 a second, at 2025-03-03 00:00 UTC"
    ]


def test_without_any_time_no_clock_is_shown() -> None:
    stream = io.StringIO()
    progress = Progress(None, "bytes", stream, Clock())
    progress.start("a", 0, 0)
    progress.advance("a", 0, 0, NO_MINUTE)
    progress.finish("a")
    assert lines_of(stream) == ["cronwax: 0 bytes, 0 read, 0 a second"]


def test_a_terminal_gets_a_bar_that_leaves_the_cursor_alone() -> None:
    stream, clock = Terminal(), Clock()
    progress = Progress(None, "messages", stream, clock)
    progress.start("a", 100, 0)
    clock.now_s = 1.0
    progress.advance("a", 50, 50, START_MINUTE)
    assert "50%" in stream.getvalue()
    clock.now_s = 2.0
    progress.advance("a", 100, 50, START_MINUTE + 1)
    progress.finish("a")
    assert "100%" in stream.getvalue()
    assert "\x1b[?25l" not in stream.getvalue()
