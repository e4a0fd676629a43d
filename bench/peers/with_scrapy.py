"""Scrapy: 16 requests at once, each answer an item that is a line of a JSON lines file; its queue is in memory."""

import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import scrapy  # type: ignore[import-not-found]  # of the peers' own environment
from scrapy.crawler import CrawlerProcess  # type: ignore[import-not-found]

from bench.peers.worked import Clock, Task, tell

AT_ONCE = 16


def crawled(task: Task) -> None:
    """The clock runs from the opened spider to the closed one."""

    class Asks(scrapy.Spider):  # type: ignore[misc]  # what it is comes from elsewhere
        name = "asks"

        async def start(self) -> AsyncIterator[Any]:
            self.clock = Clock()
            for number in range(task.jobs):
                yield scrapy.Request(f"{task.url}{10**17 + number}")

        def parse(self, response: Any) -> Iterator[dict[str, str]]:
            """One item."""
            yield {"url": response.url, "body": response.text}

        def closed(self, reason: str) -> None:
            """The last item has been written."""
            assert reason == "finished"
            assert self.crawler.stats.get_value("item_scraped_count") == task.jobs
            tell(self.clock.cost(task.jobs))

    settings = {
        "CONCURRENT_REQUESTS": AT_ONCE,
        "CONCURRENT_REQUESTS_PER_DOMAIN": AT_ONCE,
        "DOWNLOAD_DELAY": 0,
        "FEEDS": {str(task.folder / "items.jsonl"): {"format": "jsonlines"}},
        "LOG_LEVEL": "ERROR",
        "ROBOTSTXT_OBEY": False,
        "TELNETCONSOLE_ENABLED": False,
    }
    process = CrawlerProcess(settings)
    process.crawl(Asks)
    process.start()


if __name__ == "__main__":
    crawled(Task.read(sys.argv[1:]))
