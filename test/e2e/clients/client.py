"""Drives the Python clients for the tests: reads one tool name a line, answers with one line of JSON each.

Arguments: mcp|fastmcp, the server's address, the port of the callback, and the address of a client metadata document or "-".
The environment's BROWSER is a program that signs in at an address and prints where it ended.
"""

import asyncio
import json
import os
import sys
from urllib.parse import parse_qs, urlsplit

kind, url, port, document = sys.argv[1:5]
redirect = f"http://127.0.0.1:{port}/callback"


class Memory:
    """Tokens and the registration, as a client keeps them."""

    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


def official():
    import mcp
    from mcp.client.auth import OAuthClientProvider
    from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
    from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

    ended = {}

    async def open_browser(address):
        browser = await asyncio.create_subprocess_exec(
            os.environ["BROWSER"], address, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await browser.communicate()
        ended["query"] = parse_qs(urlsplit(output.decode().split()[0]).query)

    async def callback():
        query = {name: values[0] for name, values in ended["query"].items()}
        return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))

    provider = OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(
            client_name="Python client of the tests",
            redirect_uris=[redirect],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            token_endpoint_auth_method="none",
        ),
        storage=Memory(),
        redirect_handler=open_browser,
        callback_handler=callback,
        client_metadata_url=None if document == "-" else document,
    )
    return mcp.Client(streamable_http_client(url, http_client=create_mcp_http_client(auth=provider)))


def fast():
    from fastmcp import Client
    from fastmcp.client.auth import OAuth

    auth = OAuth(callback_port=int(port), client_metadata_url=None if document == "-" else document)
    return Client(url, auth=auth)


async def main():
    async with official() if kind == "mcp" else fast() as client:
        print(json.dumps({"ready": True}), flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            try:
                result = await client.call_tool(line.strip(), {})
                answer = {"text": result.content[0].text}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)


asyncio.run(main())
