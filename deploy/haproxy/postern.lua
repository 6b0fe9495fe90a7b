-- Asks forward-auth about a request, as Traefik's forwardAuth does: GET, the client's request in X-Forwarded-*, its other
-- headers as they are, no body. It allows after exactly 200; everything else is a refusal, and a mistake in here ends as
-- the 503 that haproxy.cfg gives to whatever was not allowed.

-- SECURITY: without it the relay would refuse everybody, which a start that fails tells sooner.
if (os.getenv("POSTERN_RELAY_TRUST_SECRET") or "") == "" then
  error("POSTERN_RELAY_TRUST_SECRET is not set: give HAProxy the secret of relay.trust.secret")
end

local CHECK_URL = os.getenv("POSTERN_CHECK_URL")
-- Milliseconds: longer than the backend's own, which answers 504 then.
local TIMEOUT = 8000

-- What describes this connection or the body, which is not sent, and what the check itself is asked with.
local NOT_ASKED = {}
for name in ([[connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding
  upgrade content-length content-encoding expect host http2-settings]]):gmatch("%S+") do
  NOT_ASKED[name] = true
end

-- What of a refusal concerns the connection to forward-auth only.
local NOT_ANSWERED = {}
for name in ("connection keep-alive transfer-encoding content-length upgrade trailer"):gmatch("%S+") do
  NOT_ANSWERED[name] = true
end

-- SECURITY: what of an allow goes to the relay. haproxy.cfg removes the same families from every request.
-- edge-headers: begin (answers)
local FAMILIES = { "x-authenticated-", "x-auth-request-", "x-webauth-", "remote-" }
local NAMES = {
  ["x-forwarded-user"] = true,
  ["x-forwarded-email"] = true,
  ["x-forwarded-groups"] = true,
  ["x-forwarded-preferred-username"] = true,
}
-- edge-headers: end

local function is_identity(name)
  if NAMES[name] then
    return true
  end
  for _, family in ipairs(FAMILIES) do
    if name:sub(1, #family) == family then
      return true
    end
  end
  return false
end

-- HAProxy counts the values of a header from zero.
local function values_of(header)
  local values = {}
  for at = 0, #header do
    if header[at] ~= nil then
      values[#values + 1] = header[at]
    end
  end
  return values
end

-- SECURITY: HAProxy's client writes past its own memory, and the process ends, where it is given more values than
-- `tune.http.maxhdr` (101). haproxy.cfg refuses such a request already.
local MAX_VALUES = 85

-- @return nil where there are too many headers to ask about
local function question(txn)
  local headers = {}
  local count = 0
  local received = txn.http:req_get_headers()
  for name, header in pairs(received) do
    local values = values_of(header)
    count = count + #values
    -- SECURITY: a client's own X-Forwarded-* would describe another request.
    if not NOT_ASKED[name] and name:sub(1, 12) ~= "x-forwarded-" then
      headers[name] = values
    end
  end
  if count > MAX_VALUES then
    return nil
  end
  headers["x-forwarded-method"] = { txn.f:method() }
  headers["x-forwarded-uri"] = { txn.f:pathq() }
  headers["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" }
  headers["x-forwarded-for"] = { txn.f:src() }
  if received["host"] then
    headers["x-forwarded-host"] = values_of(received["host"])
  end
  return headers
end

local function refuse(txn, answer)
  local reply = txn:reply({ status = answer.status, reason = answer.reason, body = answer.body })
  for name, header in pairs(answer.headers) do
    if not NOT_ANSWERED[name] then
      for _, value in ipairs(values_of(header)) do
        reply:add_header(name, value)
      end
    end
  end
  txn:done(reply)
end

-- @return false where a header did not fit into the request
local function identify(txn, headers)
  for name, header in pairs(headers) do
    local values = values_of(header)
    if is_identity(name) then
      txn.http:req_del_header(name)
      -- An empty one says that there is nothing, which its absence says as well.
      if values[1] ~= nil and values[1] ~= "" and txn.http:req_add_header(name, values[1]) == false then
        return false
      end
    elseif name == "cookie" then
      -- SECURITY: what is left of the cookies without the session's own, possibly nothing.
      txn.http:req_del_header("cookie")
      if values[1] ~= nil and values[1] ~= "" and txn.http:req_add_header("cookie", values[1]) == false then
        return false
      end
    end
  end
  return true
end

core.register_action("postern_check", { "http-req" }, function(txn)
  local headers = question(txn)
  if headers == nil then
    txn:done(txn:reply({ status = 400 }))
    return
  end
  local answer = core.httpclient():get({ url = CHECK_URL, headers = headers, timeout = TIMEOUT })
  local status = answer and answer.status or 0
  if status == 200 then
    if identify(txn, answer.headers) then
      txn:set_priv({ cookies = answer.headers["set-cookie"] })
      txn:set_var("txn.postern_allowed", true)
    end
  elseif status >= 300 and status <= 599 and status ~= 502 and status ~= 504 then
    -- Those two are HAProxy's own, where forward-auth said nothing.
    refuse(txn, answer)
  end
end, 0)

core.register_action("postern_cookies", { "http-res" }, function(txn)
  local kept = txn:get_priv()
  if kept and kept.cookies then
    for _, cookie in ipairs(values_of(kept.cookies)) do
      txn.http:res_add_header("Set-Cookie", cookie)
    end
  end
end, 0)
