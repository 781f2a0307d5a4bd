-- Lets requests of an app that is on hold wait for its next address, instead of failing them.
-- Rendered by daemons.kit.gateway with the route map, how many may wait per app and at all, and for how long.
-- HAProxy 2.6 Lua manual: core.register_action, core.msleep, Map.new (shares the map with the configuration).
local most_per_app, most, pause, pauses = $max_per_app, $max_parked, 20, $hold_seconds * 50
local routes = Map.new("$map", Map._str)
local waiting, total = {}, 0

core.register_action("park", { "http-req" }, function(txn)
    local app = txn:get_var("txn.app")
    if (waiting[app] or 0) >= most_per_app or total >= most then
        return
    end
    waiting[app] = (waiting[app] or 0) + 1
    total = total + 1
    local left, target = pauses, "hold"
    while target == "hold" and left > 0 do
        core.msleep(pause)
        left = left - 1
        target = routes:lookup(app)
    end
    total = total - 1
    waiting[app] = waiting[app] - 1
    if waiting[app] == 0 then
        waiting[app] = nil
    end
    if target == nil then
        txn:unset_var("txn.target")
    else
        txn:set_var("txn.target", target)
    end
end)
