"""One thread that waits for descriptors, for times and for signals."""

import heapq
import os
import select
import signal
import time
from typing import Any, Callable, Dict, List, Tuple


class Loop:
    """Calls back what is ready."""

    def __init__(self) -> None:
        self._poller = select.poll()
        self._readers: Dict[int, Callable[[], None]] = {}
        self._timers: List[Tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self.watch(self._woken, self._drain)

    def watch(self, source: Any, callback: Callable[[], None]) -> None:
        descriptor = source if isinstance(source, int) else source.fileno()
        self._readers[descriptor] = callback
        self._poller.register(descriptor, select.POLLIN)

    def forget(self, source: Any) -> None:
        descriptor = source if isinstance(source, int) else source.fileno()
        if self._readers.pop(descriptor, None):
            self._poller.unregister(descriptor)

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._count, callback))

    def run(self) -> None:
        while True:
            for descriptor, _event in self._poller.poll(self._milliseconds()):
                # One callback may have ended what another descriptor belongs to.
                callback = self._readers.get(descriptor)
                if callback:
                    callback()
            while self._timers and self._timers[0][0] <= time.monotonic():
                heapq.heappop(self._timers)[2]()

    def _milliseconds(self) -> Any:
        if not self._timers:
            return None
        return max(0, int((self._timers[0][0] - time.monotonic()) * 1000) + 1)

    def _drain(self) -> None:
        try:
            while os.read(self._woken, 512):
                pass
        except BlockingIOError:
            pass
