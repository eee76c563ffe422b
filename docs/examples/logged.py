"""A program whose log records are counted, and whose newest errors can be read anywhere."""

import logging

import taba.logs

logging.basicConfig(level="INFO")
logging.getLogger().addHandler(taba.logs.Handler())

log = logging.getLogger("shop.orders")
for number in range(40):
    log.info("order %d", number)
log.error("payment 17: timeout after 5 s")
try:
    {}["price"]
except KeyError:
    log.exception("order 18")
