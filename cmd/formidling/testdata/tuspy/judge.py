"""Uploads one file with tuspy, told by a JSON object in argv[1]:

    file       path of the file
    endpoint   where uploads are created, or
    uploadUrl  an upload that exists already, to go on with
    headers    of every request
    chunkSize  bytes of one PATCH; absent: all that is left

It prints one JSON object, {url, retries}, and exits 0 when the server has said that it has all.
"""
import json
import sys

from tusclient import client
from tusclient.uploader import Uploader

told = json.loads(sys.argv[1])
tus = client.TusClient(told.get("endpoint"), headers=told["headers"])
more = {"chunk_size": told["chunkSize"]} if "chunkSize" in told else {}
retries = 0


class Counting(Uploader):
    """Counts how often a chunk was tried again."""

    def _retry_or_cry(self, error):
        global retries
        retries += 1
        super()._retry_or_cry(error)


uploader = Counting(
    file_path=told["file"], url=told.get("uploadUrl"), client=tus, retries=60, retry_delay=0.1,
    metadata={"filename": "judged.bin"}, **more,
)
uploader.upload()
print(json.dumps({"url": uploader.url, "retries": retries}))
