-- Asks which node has an app (deploy) or a preview (the API), once a second for each at most; requests wait meanwhile.
-- What was found stands in a map, where HAProxy finds it by itself. Rendered by daemons.kit.haproxy_entry.
-- HAProxy 2.6 Lua manual: core.httpclient, core.set_map, core.register_task.
local map, api, deploy, good = "$map", "$api", "$deploy", 1000
local api_token = os.getenv("FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN") or ""
local deploy_token = os.getenv("DEPLOY_GATEWAY_TOKEN") or ""
local questions = {
    r = { "http://" .. deploy .. "/internal/gateway/runtime?appId=", deploy_token, "x-runtime-upstream" },
    a = { "http://" .. api .. "/api/fun-ai/workspace/internal/gateway/node?appId=", api_token, "x-ws-node" },
    u = { "http://" .. api .. "/api/fun-ai/workspace/internal/gateway/node?userId=", api_token, "x-ws-node" },
}
local found, asking = {}, {}

local function milliseconds()
    local now = core.now()
    return now.sec * 1000 + math.floor(now.usec / 1000)
end

-- "address port" of host:port or http://host:port; nothing for a name, which HAProxy would have to look up.
local function place(text)
    local bare = text:gsub("^http://", ""):gsub("/$$", "")
    local host, port = bare:match("^%[([%x:.]+)%]:?(%d*)$$")
    if host == nil then
        host, port = bare:match("^([%d.]+):?(%d*)$$")
    end
    return host and host .. " " .. (port ~= "" and port or "80")
end

local function ask(key, request)
    local question = questions[key:sub(1, 1)]
    local headers = { ["x-ws-token"] = { question[2] }, ["x-request-id"] = { request } }
    local answer = core.httpclient():get({ url = question[1] .. key:sub(3), headers = headers, timeout = 5000 })
    local status = answer and answer.status or 0
    local values = status == 204 and answer.headers[question[3]]
    local way = values and values[0] and place(values[0])
    if way == nil or way == false then
        return nil, (status == 404 or status == 400) and 404 or 503
    end
    core.set_map(map, key, way)
    found[key] = milliseconds() + good
    return way, 204
end

core.register_action("find_way", { "http-req" }, function(txn)
    local key = txn:get_var("txn.asked")
    local first = asking[key] == nil
    if first then
        asking[key] = {}
        asking[key].way, asking[key].status = ask(key, txn:get_var("txn.request"))
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
