-- Asks the workspace node where a preview is served, once a second for each at most, and lets its requests wait meanwhile:
-- a workspace that sleeps wakes up for the question. What was found stands in a map, where HAProxy finds it by itself.
-- Rendered by daemons.kit.gateway. HAProxy 2.6 Lua manual: core.httpclient, core.set_map, core.register_task.
local map, node, good = "$map", "$node", 1000
local token = os.getenv("FUNAI_WORKSPACE_NGINXAUTHTOKEN") or ""
local found, asking = {}, {}

local function milliseconds()
    local now = core.now()
    return now.sec * 1000 + math.floor(now.usec / 1000)
end

local function known(key, way)
    core.set_map(map, key, way)
    found[key] = milliseconds() + good
end

local function ask(kind, id, pass)
    local client = core.httpclient()
    local url = node .. "/api/fun-ai/workspace/internal/nginx/port?" .. (kind == "u" and "userId=" or "appId=") .. id
    local headers = { ["x-ws-token"] = { token } }
    if pass then
        headers["x-ws-pass"] = { pass }
    end
    local answer = client:get({ url = url, headers = headers, timeout = $hold_ms })
    local function said(name)
        local values = answer and answer.headers[name]
        return values and values[0]
    end
    local private = said("x-ws-visibility") == "private" or said("x-ws-why") == "private"
    if answer == nil or answer.status ~= 204 then
        local status = answer and answer.status or 0
        -- The node's other 401 is one for this gateway.
        return nil, (status ~= 401 or private) and status or 0, private
    end
    local way = said("x-ws-port") .. " " .. (said("x-ws-prefix") or "strip") .. " " .. (said("x-ws-app") or id)
    local cookie = said("x-ws-cookie")
    return cookie and way .. " " .. cookie or way, 204, private
end

core.register_action("find_preview", { "http-req" }, function(txn)
    local preview, pass = txn:get_var("txn.preview"), txn:get_var("txn.pass")
    local kind, id = preview:match("^([au]):([a-z0-9-]+)$$")
    if kind == nil or #id > 40 then
        return
    end
    local key = pass and preview .. "/" .. pass or preview
    local first = asking[key] == nil
    if first then
        asking[key] = {}
        local way, status, private = ask(kind, id, pass)
        asking[key].way, asking[key].status = way, status
        if private then
            known(preview, "private")
        end
        if way ~= nil then
            known(private and key or preview, way)
        end
    end
    local mine = asking[key]
    while mine.status == nil do
        core.msleep(2)
    end
    if first then
        asking[key] = nil
    end
    if mine.way ~= nil then
        txn:set_var("txn.way", mine.way)
    else
        txn:set_var("txn.lost", mine.status)
    end
end)

core.register_task(function()
    while true do
        core.msleep(100)
        local now = milliseconds()
        for key, until_ms in pairs(found) do
            if until_ms <= now then
                found[key] = nil
                core.del_map(map, key)
            end
        end
    end
end)
