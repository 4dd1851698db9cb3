"""A console client of the prototype, written from the description of its calls alone; nothing of this project is in it.

    python prototype_client.py URL KEY LOGIN PASSWORD GATEWAY NUMBER

It logs in, adds a user, reads the subscribers and makes a sample call. It reads `status` and `text` of each answer, and
prints one JSON object a step. The exit status is 1 at the first answer whose `status` is not `success`.
"""

import json
import sys
from typing import Any

import jwt
import requests

TIMEOUT_S = 60


def tell(step: str, answer: requests.Response) -> dict[str, Any]:
    """Print a step; end at a failure."""
    said: dict[str, Any] = answer.json()
    print(json.dumps({"step": step, **said}), flush=True)
    if said["status"] != "success":
        sys.exit(1)
    return said


def main(url: str, key: str, login: str, password: str, gateway: str, number: str) -> None:
    """The four steps."""
    credentials = {"login": login, "password": password}
    token = tell("login", requests.post(f"{url}/srv1/auth/login", json=credentials, timeout=TIMEOUT_S))["acc_token"]

    def sealed(payload: dict[str, Any]) -> dict[str, str]:
        return {"req_data": jwt.encode(payload, key, algorithm="HS256", headers={"acc_token": token})}

    user = {"name": "New User", "login": "new", "password": "123", "comment": "added by the client"}
    tell("adduser", requests.post(f"{url}/srv1/admin/adduser", json=sealed(user), timeout=TIMEOUT_S))
    tell("abon", requests.get(f"{url}/srv1/abon/all", params=sealed({}), timeout=TIMEOUT_S))
    call = {"gw_addr": gateway, "gw_login": "100", "gw_password": "secret", "phone_num": number}
    tell("sample", requests.post(f"{url}/srv1/call/sample", json=sealed(call), timeout=TIMEOUT_S))


if __name__ == "__main__":
    main(*sys.argv[1:])
