"""Lambda authorizer for Amazon API Gateway: REST APIs (TOKEN and REQUEST) and HTTP APIs (payload 2.0 with simple responses,
and 1.0). It verifies an access token and puts who it is into the context, from where the integration maps it to headers.

Environment: ISSUER, AUDIENCE, JWKS_URL. Needs PyJWT[crypto]. The same in TypeScript: authorizer.ts.
"""

import os
import re

import jwt
from jwt.exceptions import PyJWKClientConnectionError, PyJWKClientError

# Printable ASCII without comma: what can stand in a header as one value.
WORD = re.compile(r"[\x21-\x2b\x2d-\x7e]+")
PHRASE = re.compile(r"[\x20-\x2b\x2d-\x7e]+")
BEARER = re.compile(r"bearer +([^\s,]+) *", re.IGNORECASE)

_keys = None


def lambda_handler(event, _context):
    token = _bearer_token(event)
    context = None if token is None else _verify(token)
    return _denied(event) if context is None else _allowed(event, context)


def _verify(token):
    """None for a bad token. Raises where the keys cannot be had: API Gateway answers 500, and no one is let in."""
    global _keys
    if _keys is None:
        # Made once for all events, so that keys are fetched once.
        _keys = jwt.PyJWKClient(os.environ["JWKS_URL"], lifespan=600, timeout=5)
    try:
        key = _keys.get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token,
            key.key,
            algorithms=["RS256", "ES256"],
            issuer=os.environ["ISSUER"],
            audience=os.environ["AUDIENCE"],
            options={"require": ["exp", "sub"]},
        )
    except PyJWKClientConnectionError:
        raise
    except (jwt.InvalidTokenError, PyJWKClientError):
        return None
    user, email, groups = claims["sub"], claims.get("email"), claims.get("groups")
    if not _is(WORD, user):
        return None
    # Always all of them, and empty where there is no value: what the context does not have, the mapping does not overwrite.
    return {
        "authenticatedUser": user,
        "authenticatedEmail": email if _is(WORD, email) else "",
        "authenticatedGroups": ",".join(g for g in (groups if isinstance(groups, list) else []) if _is(PHRASE, g)),
    }


def _is(pattern, value):
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _bearer_token(event):
    """None where there is none, or more than one."""
    header = event.get("authorizationToken")
    if header is None:
        header = _sole_header(event, "authorization")
    match = None if header is None else BEARER.fullmatch(header)
    return None if match is None else match.group(1)


def _sole_header(event, wanted):
    many = [v for name, values in (event.get("multiValueHeaders") or {}).items() if name.lower() == wanted for v in values]
    if len(many) > 1:
        return None
    single = [v for name, v in (event.get("headers") or {}).items() if name.lower() == wanted]
    return single[0] if len(single) == 1 else None


def _allowed(event, context):
    if event.get("version") == "2.0":
        return {"isAuthorized": True, "context": context}
    return {"principalId": context["authenticatedUser"], "policyDocument": _policy(event, "Allow"), "context": context}


def _denied(event):
    if event.get("version") == "2.0":
        return {"isAuthorized": False}
    if "version" not in event:
        # Exactly this text makes a REST API answer 401; every other error is 500.
        raise Exception("Unauthorized")
    return {"principalId": "nobody", "policyDocument": _policy(event, "Deny")}


def _policy(event, effect):
    """For the whole stage, because API Gateway keeps the answer for a token and asks it for every other path."""
    resource = "/".join(event.get("methodArn", "").split("/")[:2]) + "/*"
    return {"Version": "2012-10-17", "Statement": [{"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}]}
