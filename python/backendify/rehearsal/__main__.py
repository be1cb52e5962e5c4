"""`python -m backendify.rehearsal`: the child of `process.started`."""

import asyncio

from backendify.rehearsal.process import serve

if __name__ == "__main__":
    asyncio.run(serve())
