"""The page that most likely belongs to each telephone number. Its input are lists of WET files, a path a line."""

import re
from itertools import islice
from urllib.parse import urlparse

from warcio.archiveiterator import ArchiveIterator

from mrjerb import Job, Step

PHONE = re.compile(rb"(?:[\D\b]|^)(1?[2-9]\d{2}[\-. ()+]+\d{3}[\-. ()+]+\d{4})(?:[\D\b]|$)")
MOST = 1000  # numbers of a host; one with more is a directory


def standard(number):
    digits = re.sub(rb"[\-. ()+]", b"", number).decode()
    return f"+{digits}" if len(digits) > 10 else f"+1{digits}"


class PhoneToUrl(Job):
    def phones(self, path):
        with open(path, "rb") as file:
            for record in ArchiveIterator(file):
                headers = record.rec_headers
                url = headers.get_header("WARC-Target-URI")
                if record.rec_type == "conversion" and headers.get_header("Content-Type") == "text/plain" and url:
                    for phone in PHONE.findall(record.content_stream().read()):
                        yield urlparse(url).netloc, (standard(phone), url)

    def of_host(self, host, phones):
        found = list(islice(phones, MOST + 1))
        if len(found) <= MOST:
            for phone, url in found:
                yield phone, (url, len(found))

    def best(self, phone, urls):
        yield phone, min(urls, key=lambda url: (url[1], -len(url[0]), url[0]))[0]

    def steps(self):
        return [Step(map=self.phones, reduce=self.of_host), Step(reduce=self.best)]
