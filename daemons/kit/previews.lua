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

local function ask(kind, id)
    local client = core.httpclient()
    local url = node .. "/api/fun-ai/workspace/internal/nginx/port?" .. (kind == "u" and "userId=" or "appId=") .. id
    local answer = client:get({ url = url, headers = { ["x-ws-token"] = { token } }, timeout = $hold_ms })
    if answer == nil or answer.status ~= 204 then
        return nil, answer and answer.status or 0
    end
    local port, prefix, app = answer.headers["x-ws-port"], answer.headers["x-ws-prefix"], answer.headers["x-ws-app"]
    return port[0] .. " " .. (prefix and prefix[0] or "strip") .. " " .. (app and app[0] or id), 204
end

core.register_action("find_preview", { "http-req" }, function(txn)
    local key = txn:get_var("txn.preview")
    local kind, id = key:match("^([au]):([a-z0-9-]+)$$")
    if kind == nil or #id > 40 then
        return
    end
    local first = asking[key] == nil
    if first then
        asking[key] = {}
        local way, status = ask(kind, id)
        asking[key].way, asking[key].status = way, status
        if way ~= nil then
            core.set_map(map, key, way)
            found[key] = milliseconds() + good
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
